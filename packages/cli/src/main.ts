#!/usr/bin/env node
import { createRequire } from 'node:module'
import {
  EXIT,
  exitCodeOf,
  findNodeProblem,
  ForeseenError,
  runAsProcess,
  UsageError,
  type Command,
  type ProcessTerminal,
} from './command/runCommand.ts'
import { commandsByName } from './commandsByName.ts'

const USAGE = `Usage: roundsman <command> [--env-file FILE] [options]

  init          add jobs to your product
  migrate       create the tables
  dev           migrate, run a worker that reloads, and serve the console, on this machine
  worker        run a worker
  build         write the worker as one file, for production
  import        take over what waits in a queue that the product had before
  export        print the rows of the tables, of any version, as lines of JSON
  uninstall     print the SQL that removes the tables
  new           add a job
  list          list all jobs, their schedules and next runs
  check         find problems of jobs before they run
  once          run a job here and now, recorded like any run
  runs          list runs and how they ended
  dead-letters  list work that was given up, and why
  queue         pause and resume the queue of a job
  work          list, explain, cancel, postpone and reorder waiting work
  limits        list and set how much may run at once over all workers
  keys          list the keys of a job, and pause or limit one
  schedules     list and change schedules that are kept as data
  console       serve the console on this machine
  mcp           serve a coding agent, as the console serves people

Commands look for roundsman.config.ts in this folder and those above in its repository; without one, up to the first
package.json. They work in the folder where they find it. They read DATABASE_URL, and a .env file with --env-file .env or when the configuration loads it. Each command has --help.`

/** Handles a command line that names no command, or an unknown one. */
const root: Command<ProcessTerminal> = {
  usage: USAGE,
  async run([name], { stdout, stderr }) {
    if (name === undefined) {
      stderr.write(`${USAGE}\n`)
      return EXIT.usage
    }
    if (name === '--version') {
      const { version } = createRequire(import.meta.url)('../package.json') as { version: string }
      stdout.write(`${version}\n`)
      return 0
    }
    const { nearest } = await import('@roundsman/engine')
    const meant = nearest(name, Object.keys(commandsByName))
    const said = `There is no command "${name}"`
    if (meant === null) throw new UsageError(said)
    throw new UsageError(`${said}: did you mean ${meant}?`, { isEnough: true })
  },
}

async function run(args: string[], terminal: ProcessTerminal): Promise<number> {
  const problem = findNodeProblem()
  if (problem !== null) {
    terminal.stderr.write(`${problem}\n`)
    return 1
  }
  const [name = '', ...rest] = args
  const load = Object.hasOwn(commandsByName, name) ? commandsByName[name] : undefined
  if (!load) return await exitCodeOf(root, args, terminal)
  const command = await load()
  const withFile: Command<ProcessTerminal> = {
    usage: command.usage,
    run: (all, where) => command.run(readEnvFile(all), where),
  }
  return await exitCodeOf(withFile, rest, terminal)
}

/** Takes `--env-file FILE` from any command line before the product is loaded. Variables that are set already win. */
function readEnvFile(args: readonly string[]): string[] {
  const rest: string[] = []
  for (let nth = 0; nth < args.length; nth++) {
    const [option, value = args[nth + 1]] = (args[nth] ?? '').split(/=(.*)/s)
    if (option !== '--env-file') {
      rest.push(args[nth] ?? '')
      continue
    }
    if (value === undefined) throw new UsageError('--env-file: which file?')
    if (!args[nth]?.includes('=')) nth += 1
    try {
      process.loadEnvFile(value)
    } catch (error) {
      throw new ForeseenError(`--env-file: ${(error as Error).message}`)
    }
  }
  return rest
}

/** The first signal aborts it; the second ends the process. */
function listenForStop(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => stop.abort(signal))
  }
  return stop.signal
}

await runAsProcess(run, listenForStop)
