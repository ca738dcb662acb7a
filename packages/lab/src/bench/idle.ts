import { setTimeout as pause } from 'node:timers/promises'
import { formatNumber, table } from '../markdown.ts'
import { startProgram } from '../startProcess.ts'
import { summarise } from '../statistics.ts'
import { startWorker } from '../apps.ts'
import type { Bench } from './openBench.ts'
import { readProcess } from '../readProcess.ts'
import { defineScenario } from './scenario.ts'
import { withDurations } from './statementDurations.ts'

interface IdleFigures {
  seconds: number
  rounds: IdleRound[]
}

interface IdleRound {
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
const MAX_STATEMENTS = 8
const MAX_LENGTH = 90

export const idle = defineScenario<IdleFigures>({
  name: 'idle',
  title: 'An idle worker',
  rounds: 1,
  measure: measureIdle,
  targets({ rounds }) {
    const of = (key: 'queriesPerSecond' | 'cpuPercent' | 'residentMb') =>
      summarise(rounds.map((round) => round[key]))
    return [
      { what: 'queries', atMost: 1, unit: '/s', measured: of('queriesPerSecond') },
      {
        what: 'processor time of one core',
        atMost: 1,
        unit: '%',
        measured: of('cpuPercent'),
      },
      {
        what: 'resident memory',
        atMost: 120,
        unit: 'MB',
        measured: of('residentMb'),
        obstacle: 'about half of it is the code of Node itself',
      },
    ]
  },
  render({ seconds, rounds }) {
    const statements = rounds.flatMap((round) => round.statements).slice(0, MAX_STATEMENTS)
    return `The worker process as it is deployed, with the whole catalogue and nothing to do, for ${formatNumber(seconds)} seconds. Every statement that
reaches PostgreSQL from any of its connections counts, as the server's own log (\`log_min_duration_statement = 0\`) lists them.

${table(
  ['times', 'statement'],
  statements.map(({ text, count }) => [
    formatNumber(count),
    `\`${text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text}\``,
  ]),
)}`
  },
  plots: () => [],
})

async function measureIdle(bench: Bench): Promise<IdleFigures> {
  const seconds = bench.sized({ small: 3, full: 60 })
  const settleMs = bench.sized({ small: 2_000, full: SETTLE_MS })
  const server = await bench.server()
  bench.progress('building')
  // As it is deployed. What did not change is not built again.
  const build = startProgram('npx', ['-y', 'pnpm@12', 'run', 'build'])
  if ((await build.exited).code !== 0)
    throw new Error(`pnpm build failed:\n${build.lastLines().join('\n')}`)
  const rounds: IdleRound[] = []
  await bench.interleave(['idle'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const url = await server.createDatabase('idle')
    await withDurations(server, url, async (read) => {
      // Otherwise a quarter of an hour might begin meanwhile, and give the worker something to do.
      const env = { CLEANUP_PREVIEW_SESSIONS_CRON: '0 0 1 1 *' }
      const worker = await startWorker('dist/main.js', url, { env })
      await pause(settleMs)
      const { length } = await read()
      const before = await readProcess(worker.pid)
      let residentMb = 0
      for (let second = 0; second < seconds; second++) {
        await pause(1_000)
        residentMb = Math.max(residentMb, (await readProcess(worker.pid))?.residentMb ?? NaN)
      }
      const after = await readProcess(worker.pid)
      // All of them are the worker's: nobody else uses this database.
      const sent = (await read()).slice(length).map(({ text }) => text.replaceAll(/\s+/g, ' '))
      await worker.stop()
      rounds.push({
        queriesPerSecond: sent.length / seconds,
        cpuPercent: (((after?.cpuSeconds ?? NaN) - (before?.cpuSeconds ?? NaN)) / seconds) * 100,
        residentMb,
        statements: [...Map.groupBy(sent, (text) => text)]
          .map(([text, same]) => ({ text, count: same.length }))
          .toSorted((one, other) => other.count - one.count),
      })
    })
  })
  await server.dropDatabase('idle')
  return { seconds, rounds }
}
