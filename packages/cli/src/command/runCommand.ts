import { EnvironmentError } from '@roundsman/node-app'
import type { Output } from './layout.ts'

/** What all commands agree on. What else a code may mean, each says for itself. */
const EXIT = { success: 0, failed: 1, usage: 2 } as const

/** The command line is wrong; the message says how. */
export class UsageError extends Error {}

/** Where a command is given its settings, and where it writes. */
export interface Terminal {
  /** Environment variables. Undefined: those of this process. */
  variables: NodeJS.ProcessEnv | undefined
  stdout: Output
  stderr: Output
}

export interface Command<Where extends Terminal = Terminal> {
  /** What --help prints, and who gave a wrong command line. */
  usage: string
  /**
   * Returns the exit code.
   * @throws UsageError
   * @throws EnvironmentError
   */
  run(args: string[], terminal: Where): Promise<number>
}

/** Runs the command that this process is, and leaves its exit code. */
export async function runCommand(command: Command): Promise<void> {
  const { stdout, stderr } = process
  // Whoever reads the first lines only, such as head, closes the pipe.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.success)
    throw error
  })
  const terminal = { variables: undefined, stdout, stderr }
  // The exit code, not exit(): what was written to a pipe has yet to get through.
  process.exitCode = await exitCodeOf(command, process.argv.slice(2), terminal)
}

/** What is wrong with the command line or the environment is told without a stack. */
export async function exitCodeOf<Where extends Terminal>(
  command: Command<Where>,
  args: string[],
  terminal: Where,
): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    terminal.stdout.write(`${command.usage}\n`)
    return EXIT.success
  }
  try {
    return await command.run(args, terminal)
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.stderr.write(`${error.message}\n\n${command.usage}\n`)
      return EXIT.usage
    }
    if (error instanceof EnvironmentError) {
      terminal.stderr.write(`${error.message}\n`)
      return EXIT.failed
    }
    throw error
  }
}
