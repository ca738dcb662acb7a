import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { standardLayout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import {
  ForeseenError,
  type Command,
  type StoppableTerminal,
  type Terminal,
} from '../command/runCommand.ts'
import { asForeseen } from '../config/asForeseen.ts'
import { requireConfig, requireDatabaseUrl } from '../config/openProduct.ts'
import { describeBundle, PROGRAM } from './bundleProgram.ts'
import { needRolldown } from './needRolldown.ts'
import { runWorker } from './runProgram.ts'

export const workerCommand: Command = {
  usage: `Usage: roundsman worker

Runs a worker with what roundsman.config.ts opens, until it is told to stop: by Ctrl C or SIGTERM running work finishes,
for up to 25 s, and a second signal gives it back. It loads your TypeScript as it is, so it needs your sources and their
packages; roundsman build makes one file that needs neither.

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`,
  async run(args, { variables }) {
    parseOptions(args, {})
    const loaded = await requireConfig()
    const databaseUrl = requireDatabaseUrl(loaded, variables)
    await asForeseen(() => runWorker({ ...loaded.config, databaseUrl }))
    return 0
  },
}

export const buildCommand: Command = {
  usage: `Usage: roundsman build [--out FILE] [--external NAME]…

Writes the worker as one file, from roundsman.config.ts and all that it imports, packages included: to start by
node, in a place without your sources, a node_modules or this command line. With the argument migrate that file makes
the tables.

  --out FILE       default: ${PROGRAM}
  --external NAME  a package to leave out, since it has native parts or files of its own (sharp, Prisma 6's client): it
                   has to be installed where the worker runs

Exit code: 0 written, 1 not written, 2 usage`,
  async run(args, { stdout }) {
    const values = parseOptions(args, {
      out: { type: 'string' },
      external: { type: 'string', multiple: true },
    })
    const { path: config } = await requireConfig()
    const file = resolve(dirname(config), values.out ?? PROGRAM)
    await mkdir(dirname(file), { recursive: true })
    // Nobody commits it, whatever their .gitignore says.
    if (values.out === undefined) await writeFile(join(dirname(file), '.gitignore'), '*\n')
    const { output, ...input } = describeBundle({ config, file, external: values.external ?? [] })
    const { rolldown } = await needRolldown('build', () => import('rolldown'))
    const bundle = await rolldown(input)
    try {
      const written = await bundle.write(output)
      const bytes = written.output.reduce(
        (sum, one) => sum + (one.type === 'chunk' ? Buffer.byteLength(one.code) : 0),
        0,
      )
      const name = relative(process.cwd(), file)
      stdout.write(
        `${name}: ${Math.ceil(bytes / 1_000)} kB. Start it by: node --enable-source-maps ${name}\n`,
      )
    } catch (error) {
      throw new ForeseenError(`The worker could not be bundled: ${(error as Error).message}`, {
        cause: error,
      })
    } finally {
      await bundle.close()
    }
    return 0
  },
}

export const devCommand: Command<StoppableTerminal> = {
  usage: `Usage: roundsman dev

Runs a worker beside your dev server, and starts it anew whenever a file changes that roundsman.config.ts, the jobs or the
handlers import. What runs meanwhile finishes as at a deployment. A file with an error leaves the worker before at work.
A worker that ends by itself, as without a database or its tables, starts again after 5 s.

Exit code: 0 stopped, 1 the environment needs attention, 2 usage`,
  async run(args, terminal) {
    parseOptions(args, {})
    const { path: config } = await requireConfig()
    const file = join(dirname(config), 'node_modules/.cache/roundsman/dev.mjs')
    const stop = terminal.listenForStop()
    const { watch } = await import('rolldown')
    const watcher = watch({
      ...describeBundle({ config, file, external: 'all' }),
      watch: { clearScreen: false },
    })
    const workers = superviseWorkers(file, terminal)
    watcher.on('event', (event) => {
      if (event.code === 'ERROR') workers.tell('red', event.error.message)
      if (event.code === 'BUNDLE_END') workers.restart()
      if ('result' in event) void event.result.close()
    })
    if (!stop.aborted) {
      await new Promise((done) => stop.addEventListener('abort', done, { once: true }))
    }
    await watcher.close()
    await workers.stop()
    return 0
  },
}

/** The database or its tables may be there by then. */
const START_AGAIN_MS = 5_000

/** Starts the worker anew each time, beside those that still finish their runs, and again when it has ended by itself. */
function superviseWorkers(file: string, { stderr }: Terminal) {
  const { paint } = standardLayout(stderr)
  const running = new Set<ChildProcess>()
  let startingAgain: NodeJS.Timeout | undefined
  let isTold = false
  const tell = (style: 'red' | 'dim', text: string) =>
    void stderr.write(`${paint(style, `roundsman dev: ${text}`)}\n`)

  function restart(): void {
    if (running.size > 0) tell('dim', 'a file has changed, the worker starts anew')
    stopAll()
    isTold = false
    start()
  }

  function start(): void {
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      // Its channel closes when this process is killed, and then it stops by itself.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl C reaches this process alone, which passes it on once.
      detached: process.platform !== 'win32',
    })
    running.add(child)
    child.once('exit', (code) => {
      running.delete(child)
      if (child.killed) return
      if (!isTold)
        tell('red', `the worker ended with ${code}; starts again in 5 s, or when a file changes`)
      isTold = true
      startingAgain = setTimeout(start, START_AGAIN_MS)
    })
  }

  /** Tells each once: a second signal would abort what it runs. */
  function stopAll(): void {
    clearTimeout(startingAgain)
    for (const child of running) if (!child.killed) child.kill('SIGTERM')
  }

  return {
    tell,
    restart,
    async stop() {
      const exits = [...running].map((child) => new Promise((done) => child.once('exit', done)))
      stopAll()
      await Promise.all(exits)
    },
  }
}
