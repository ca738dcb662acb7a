import { standardLayout, type Output } from './layout.ts'

/** What all commands agree on. What else a code may mean, each says for itself. */
const EXIT = { success: 0, failed: 1, usage: 2 } as const

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  /** The message names what to write instead: how the command is called would only bury it. */
  readonly isEnough: boolean

  constructor(message: string, { isEnough = false }: { isEnough?: boolean } = {}) {
    super(message)
    this.isEnough = isEnough
  }
}

/** Something else is wrong than this program; the message says what, and what to do. */
export class ForeseenError extends Error {}

/** Where a command is given its settings, and where it writes. */
export interface Terminal {
  /** Environment variables. Undefined: those of this process. */
  variables: NodeJS.ProcessEnv | undefined
  stdout: Output
  stderr: Output
}

export interface Command<Where extends Terminal = Terminal> {
  /** What --help prints. Who gave a wrong command line is shown its first paragraph. */
  usage: string
  /**
   * Returns the exit code.
   * @throws UsageError
   * @throws ForeseenError
   */
  run(args: string[], terminal: Where): Promise<number>
}

/** Runs the command that this process is, and leaves its exit code. */
export async function runCommand(
  command: Command,
  args: string[] = process.argv.slice(2),
): Promise<void> {
  const { stdout, stderr } = process
  // Whoever reads the first lines only, such as head, closes the pipe.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.success)
    throw error
  })
  const terminal = { variables: undefined, stdout, stderr }
  // The exit code, not exit(): what was written to a pipe has yet to get through.
  process.exitCode = await exitCodeOf(command, args, terminal)
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
      const [synopsis] = command.usage.split('\n\n')
      const { paint } = standardLayout(terminal.stderr)
      const how = error.isEnough ? '' : `\n${synopsis}\n`
      terminal.stderr.write(`${paint('red', error.message)}\n${how}More: --help\n`)
      return EXIT.usage
    }
    if (error instanceof ForeseenError) {
      terminal.stderr.write(`${error.message}\n`)
      return EXIT.failed
    }
    throw error
  }
}
