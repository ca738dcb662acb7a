/**
 * For a command without arguments: prints the usage when asked to, and refuses anything else, because the command would
 * do its work all the same. Returns the exit code, or null when it may begin.
 */
export function refuseArguments(usage: string): number | null {
  const [first] = process.argv.slice(2)
  if (first === undefined) return null
  if (first === '--help' || first === '-h') {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  process.stderr.write(`Unknown argument "${first}": this command takes none\n\n${usage}\n`)
  return 2
}
