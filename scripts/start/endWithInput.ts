// Loaded into `tsx watch`, which would wait for changes for ever after start was killed: what start holds
// open is its standard input.
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'))
process.stdin.resume()
