import { EnvironmentError } from '@roundsman/node-app'

/** What all commands agree on. What else a code may mean, each says for itself. */
const EXIT = { success: 0, failed: 1, usage: 2 } as const

/** The command line is wrong; the message says how. */
export class UsageError extends Error {}

/**
 * Runs the command that this process is, and leaves its exit code. What is wrong with the command line or the
 * environment is told without a stack.
 */
export async function runCommand(
  usage: string,
  command: (args: string[]) => Promise<number>,
): Promise<void> {
  // Whoever reads the first lines only, such as head, closes the pipe.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.success)
    throw error
  })
  // The exit code, not exit(): what was written to a pipe has yet to get through.
  process.exitCode = await exitCodeOf(usage, command)
}

async function exitCodeOf(
  usage: string,
  command: (args: string[]) => Promise<number>,
): Promise<number> {
  const args = process.argv.slice(2)
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${usage}\n`)
    return EXIT.success
  }
  try {
    return await command(args)
  } catch (error) {
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n\n${usage}\n`)
      return EXIT.usage
    }
    if (error instanceof EnvironmentError) {
      process.stderr.write(`${error.message}\n`)
      return EXIT.failed
    }
    throw error
  }
}
