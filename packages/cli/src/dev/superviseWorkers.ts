import { spawn, type ChildProcess } from 'node:child_process'
import { watch, type FSWatcher } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { standardLayout } from '../command/layout.ts'
import type { Terminal } from '../command/runCommand.ts'

/*
 * A worker under `roundsman dev`:
 *
 *   loading   Its process loads the configuration and the handlers. The previous worker continues.
 *   ready     It has loaded all: every previous worker gets SIGTERM, and drains as at a deployment.
 *   failed    It ended while loading. The previous worker, if there is one, stays until a file changes.
 *   ended     It ended by itself, as without a database: another starts after 5 s.
 */

/** What a worker's process sends to the process that has started it. */
interface LoadReport {
  isReady: boolean
  /** The product's files that it has loaded. */
  files: readonly string[]
}

/** Called by a worker's process. It does nothing when no `roundsman dev` has started the process. */
export function reportLoaded({ isReady }: { isReady: boolean }): void {
  if (!process.send) return
  // The loader of the configuration keeps its modules where `require` does.
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  const files = loaded.filter((path) => !/[\\/]node_modules[\\/]/.test(path))
  process.send({ isReady, files } satisfies LoadReport)
  if (!isReady) return
  // A parent that was killed sends no signal.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
  process.channel?.unref()
}

/** The database may be there by then. */
const START_AGAIN_MS = 5_000
/** An editor writes a file in several steps, and saves several files at once. */
const SETTLE_MS = 100

/** Runs a worker of the product in this folder, and another one in its place whenever one of its files changes. */
export function superviseWorkers(config: string, { stderr, variables }: Terminal) {
  const { paint } = standardLayout(stderr)
  const running = new Set<ChildProcess>()
  const files = watchFiles(restart)
  let loading: ChildProcess | null = null
  let timer: NodeJS.Timeout | undefined
  let isTold = false
  files.add([config])
  start()

  function tell(style: 'red' | 'dim', text: string): void {
    stderr.write(`${paint(style, `roundsman dev: ${text}`)}\n`)
  }

  function restart(): void {
    tell('dim', 'a file has changed: loading the worker again')
    isTold = false
    loading?.kill('SIGTERM')
    start()
  }

  function start(): void {
    clearTimeout(timer)
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN, 'worker'], {
      cwd: dirname(config),
      env: variables,
      // The channel carries the report, and closes when this process is killed.
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      // Ctrl C reaches this process alone, which passes it on once.
      detached: process.platform !== 'win32',
    })
    loading = child
    running.add(child)
    child.on('message', (report: LoadReport) => {
      files.add(report.files)
      if (!report.isReady || child !== loading) return
      loading = null
      for (const other of running) if (other !== child) stopOnce(other)
    })
    child.once('exit', (code) => {
      running.delete(child)
      if (child.killed) return
      const isStill = [...running].some((other) => !other.killed)
      if (child === loading) loading = null
      if (!isTold) {
        const then = isStill
          ? 'the worker before goes on until a file changes'
          : 'starts again in 5 s, or when a file changes'
        tell('red', `the worker ended with ${code}; ${then}`)
      }
      isTold = true
      if (!isStill) timer = setTimeout(start, START_AGAIN_MS)
    })
  }

  return {
    async stop(): Promise<void> {
      files.close()
      clearTimeout(timer)
      const exits = [...running].map((child) => new Promise((done) => child.once('exit', done)))
      for (const child of running) stopOnce(child)
      await Promise.all(exits)
    },
  }
}

/** A second signal would abort what the worker runs. */
function stopOnce(child: ChildProcess): void {
  if (!child.killed) child.kill('SIGTERM')
}

/** The program of this command line, from its sources or as it is built. */
const MAIN = join(
  import.meta.dirname,
  import.meta.filename.endsWith('.ts') ? '../main.ts' : '../main.js',
)

/** Watches the folders of files, since an editor may put another file in the place of the one that it saves. */
function watchFiles(onChange: () => void) {
  const names = new Map<string, Set<string>>()
  const watchers: FSWatcher[] = []
  let timer: NodeJS.Timeout | undefined
  return {
    add(files: readonly string[]): void {
      for (const file of files) {
        const folder = dirname(file)
        const known = names.get(folder)
        if (known) {
          known.add(basename(file))
          continue
        }
        const here = new Set([basename(file)])
        names.set(folder, here)
        const watcher = watch(folder, (_, name) => {
          if (name === null || !here.has(name)) return
          clearTimeout(timer)
          timer = setTimeout(onChange, SETTLE_MS)
        })
        // A folder that is removed has nothing left to watch.
        watcher.on('error', () => watcher.close())
        watchers.push(watcher)
      }
    },
    close(): void {
      clearTimeout(timer)
      for (const watcher of watchers) watcher.close()
    },
  }
}
