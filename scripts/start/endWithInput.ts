// Loaded into `tsx watch` and the console's build, which would otherwise wait for changes for ever after start was
// killed: start holds their standard input open.
process.stdin.on('end', () => process.kill(process.pid, 'SIGTERM'))
process.stdin.resume()
