/**
 * For a command that takes nothing: explains it where somebody asks, and refuses whatever else is said, since the
 * command would do its work all the same. Returns the exit code, or null when nothing was said.
 */
export function refuseArguments(usage: string): number | null {
  const [first] = process.argv.slice(2)
  if (first === undefined) return null
  if (first === '--help' || first === '-h') {
    process.stdout.write(`${usage}\n`)
    return 0
  }
  process.stderr.write(`"${first}" is not known here: it takes nothing\n\n${usage}\n`)
  return 2
}
