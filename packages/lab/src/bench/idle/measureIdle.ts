import { open } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { startWorker } from '../apps.ts'
import type { Bench } from '../openBench.ts'
import { readProcess } from '../readProcess.ts'
import { startProcess, WORKSPACE_ROOT } from '../startProcess.ts'

export interface IdleFigures {
  seconds: number
  rounds: IdleRound[]
}

export interface IdleRound {
  queriesPerSecond: number
  /** In per cent of one core. */
  cpuPercent: number
  /** The largest value of any second. */
  residentMb: number
  /** The statements, and how often each was sent. */
  statements: { text: string; count: number }[]
}

/** A worker that has just started does some things once. */
const SETTLE_MS = 15_000

export async function measureIdle(bench: Bench): Promise<IdleFigures> {
  const seconds = bench.sized({ small: 3, full: 60 })
  const settleMs = bench.sized({ small: 2_000, full: SETTLE_MS })
  const server = await bench.server()
  bench.progress('building')
  await buildApps()
  const rounds: IdleRound[] = []
  await bench.interleave(['idle'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const url = await server.createDatabase('idle')
    await server.query(`alter system set log_line_prefix = '%d|%a|'`)
    await server.query('select pg_reload_conf()')
    await server.query(`alter database idle set log_statement = 'all'`)
    const worker = await startWorker(url, {
      isBuilt: true,
      // Otherwise a quarter of an hour might begin meanwhile, and give the worker something to do.
      env: { CLEANUP_PREVIEW_SESSIONS_CRON: '0 0 1 1 *' },
    })
    try {
      await pause(settleMs)
      const log = await open(server.logFile)
      const { size } = await log.stat()
      const before = await readProcess(worker.pid)
      let residentMb = 0
      for (let second = 0; second < seconds; second++) {
        await pause(1_000)
        residentMb = Math.max(residentMb, (await readProcess(worker.pid))?.residentMb ?? NaN)
      }
      const after = await readProcess(worker.pid)
      const text = (await log.readFile()).subarray(size).toString()
      await log.close()
      const statements = countStatements(text)
      rounds.push({
        queriesPerSecond: statements.reduce((total, { count }) => total + count, 0) / seconds,
        cpuPercent: (((after?.cpuSeconds ?? NaN) - (before?.cpuSeconds ?? NaN)) / seconds) * 100,
        residentMb,
        statements,
      })
    } finally {
      await worker.stop()
      await server.query('alter system reset log_line_prefix')
      await server.query('select pg_reload_conf()')
    }
  })
  await server.dropDatabase('idle')
  return { seconds, rounds }
}

/** Counts the worker's statements, whether the engine or Prisma sent them. */
function countStatements(log: string): IdleRound['statements'] {
  const counts = new Map<string, number>()
  for (const entry of log.split(/^idle\|/m).slice(1)) {
    const match = /^roundsman[^|]*\|LOG:\s+(?:statement|execute [^:]*): ([^]*)/.exec(entry)
    const text = match?.[1]?.replaceAll(/\s+/g, ' ').trim()
    if (text) counts.set(text, (counts.get(text) ?? 0) + 1)
  }
  return [...counts]
    .map(([text, count]) => ({ text, count }))
    .toSorted((one, other) => other.count - one.count)
}

/** Builds what is started as it is deployed. What did not change is not built again. */
async function buildApps(): Promise<void> {
  const build = startProcess('-y', {
    command: 'npx',
    args: ['pnpm@12', 'run', 'build'],
    cwd: WORKSPACE_ROOT,
  })
  const exitCode = await build.exited
  if (exitCode !== 0) throw new Error(`pnpm build failed:\n${build.lastLines().join('\n')}`)
}
