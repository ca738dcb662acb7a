import { createRequire } from 'node:module'
import { printableOutput, standardLayout, type Output } from './layout.ts'
import { stopWithLauncher } from './stopWithLauncher.ts'

/** The exit codes of all commands. A command documents any other code itself. */
export const EXIT = { success: 0, failed: 1, usage: 2 } as const

/** The command line is wrong; the message says how. */
export class UsageError extends Error {
  /** True if the message names the correct spelling: then the usage is not printed. */
  readonly isEnough: boolean

  constructor(message: string, { isEnough = false }: { isEnough?: boolean } = {}) {
    super(message)
    this.isEnough = isEnough
  }
}

/** An error outside of this program. The message has the remedy, and is printed without a stack. */
export class ForeseenError extends Error {}

/** A command's environment variables and output. */
export interface Terminal {
  variables: NodeJS.ProcessEnv
  stdout: Output
  stderr: Output
}

export interface Command<Where extends Terminal = Terminal> {
  /** The text of --help. A wrong command line prints its first paragraph. */
  usage: string
  /**
   * Returns the exit code.
   * @throws UsageError
   * @throws ForeseenError
   */
  run(args: string[], terminal: Where): Promise<number>
}

/** The message that this Node is older than the package needs; npm only warns about it. Null if it is not. */
export function findNodeProblem(version: string = process.versions.node): string | null {
  const { engines } = createRequire(import.meta.url)('../../package.json') as {
    engines: { node: string }
  }
  const needed = engines.node.replace('>=', '')
  const isOlder = version.localeCompare(needed, 'en', { numeric: true }) < 0
  return isOlder ? `Roundsman needs Node ${needed} or newer, and this is ${version}` : null
}

/** For commands that can be interrupted. */
export interface StoppableTerminal extends Terminal {
  /** Call it before interruptible work. The returned signal is aborted at the first SIGINT, SIGTERM or SIGHUP. */
  listenForStop(): AbortSignal
}

/** The terminal of a whole process. */
export interface ProcessTerminal extends StoppableTerminal {
  stdin: NodeJS.ReadStream
  cwd: string
}

/** Runs a command line as this process, and ends the process with the exit code, even if the product has left something open. */
export async function runAsProcess(
  run: (args: string[], terminal: ProcessTerminal) => Promise<number>,
  listenForStop: () => AbortSignal,
): Promise<never> {
  const { stdin, stdout, stderr, env: variables } = process
  // A reader such as `head` closes the pipe after its last line.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.success)
    throw error
  })
  const terminal: ProcessTerminal = {
    variables,
    stdin,
    cwd: process.cwd(),
    stdout,
    stderr,
    listenForStop() {
      stopWithLauncher(variables)
      return listenForStop()
    },
  }
  const code = await run(process.argv.slice(2), terminal)
  // Wait until the pipe has taken the output.
  await Promise.all([stdout, stderr].map((stream) => new Promise((done) => stream.write('', done))))
  return process.exit(code)
}

/** Recognised by its code: not all commands load the engine, which defines the error. */
const isArgumentError = (error: unknown): error is TypeError =>
  error instanceof TypeError && 'code' in error && error.code === 'argument_invalid'

/**
 * Runs a command and returns its exit code. Problems of the command line or the environment are printed without a stack.
 */
export async function exitCodeOf<Where extends Terminal>(
  command: Command<Where>,
  args: string[],
  own: Where,
): Promise<number> {
  const [stdout, stderr] = [printableOutput(own.stdout), printableOutput(own.stderr)]
  const terminal: Where = { ...own, stdout, stderr }
  if (args.includes('--help') || args.includes('-h')) {
    terminal.stdout.write(`${command.usage}\n`)
    return EXIT.success
  }
  try {
    return await command.run(args, terminal)
  } catch (error) {
    // The engine checks more than the options' own checks.
    if (error instanceof UsageError || isArgumentError(error)) {
      const [synopsis] = command.usage.split('\n\n')
      const { paint } = standardLayout(terminal.stderr)
      const how = error instanceof UsageError && error.isEnough ? '' : `\n${synopsis}\n`
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
