import { join } from 'node:path'
import type { Bench } from '../openBench.ts'
import { withClient } from '../openServer.ts'
import { startProcess } from '../startProcess.ts'
import { durationsOf, withDurations } from '../statementDurations.ts'
import { median } from '../statistics.ts'
import { startRedis } from '../throughput/startRedis.ts'

export const COMMIT_SIDES = ['plain', 'roundsman', 'pgBoss', 'graphileWorker', 'bullMq'] as const
export type CommitSide = (typeof COMMIT_SIDES)[number]

/** How many connections commit at once. */
export const CONNECTIONS = [1, 8, 32, 64] as const

/** What a process says of its transactions. */
export interface Committed {
  commits: number
  tookMs: number
  /** Of processors: in this process, and on the whole machine. */
  processUs: number
  machineUs: number
  /** Written to PostgreSQL's log. */
  logBytes: number
}

/** What a transaction has cost; medians over the rounds are formed of these. */
export type CommitCost = Pick<Committed, 'processUs' | 'machineUs' | 'logBytes'>

export interface CommitFigures {
  /** Transactions committed a second, in each round, by the number of connections. */
  perSecond: Record<CommitSide, Record<number, number[]>>
  /** By connections, of each round. */
  costs?: Record<CommitSide, Record<number, CommitCost[]>>
  /** What PostgreSQL takes for what a transaction does beside its own row, by one connection, and what it has to look at. */
  statements?: Record<'plain' | 'roundsman', { us: number; indexes: number }>
  redis: string | null
}

/** What the statement of each begins with, and the table that it writes into. */
const STATEMENTS = {
  plain: { beginning: 'insert into "Plain"', table: '"Plain"' },
  roundsman: { beginning: '/* roundsman_send', table: '"JobWork"' },
} as const

const COMMIT_PROCESS = join(import.meta.dirname, 'commitProcess.ts')

/** Measures requests that write a row of their own and enqueue, while nobody takes the work. */
export async function measureCommits(bench: Bench): Promise<CommitFigures> {
  const durationMs = bench.sized({ small: 200, full: 3_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const nothing = <Value>(): Record<CommitSide, Record<number, Value[]>> => {
    const byConnections = () =>
      Object.fromEntries(CONNECTIONS.map((count) => [count, [] as Value[]]))
    return {
      plain: byConnections(),
      roundsman: byConnections(),
      pgBoss: byConnections(),
      graphileWorker: byConnections(),
      bullMq: byConnections(),
    }
  }
  const costs = nothing<CommitCost>()
  const figures: CommitFigures = {
    perSecond: nothing<number>(),
    costs,
    redis: redis?.version ?? null,
  }
  const run = async (side: CommitSide, url: string, connections: number): Promise<Committed> => {
    const child = startProcess(COMMIT_PROCESS, {
      args: [side, url, redis?.url ?? '', String(connections), String(durationMs)],
    })
    await child.line(/^ready$/)
    child.send('go')
    const [, text = ''] = await child.line(/^committed (.+)$/)
    await child.stop()
    return JSON.parse(text) as Committed
  }
  const sides = COMMIT_SIDES.filter((side) => side !== 'bullMq' || redis !== null)
  for (const connections of CONNECTIONS) {
    await bench.interleave(sides, async (side, round) => {
      bench.progress(`round ${round + 1}, ${connections} connections, ${side}`)
      const url = await server.createDatabase('commits')
      const { commits, tookMs, ...costOfAll } = await run(side, url, connections)
      figures.perSecond[side][connections]?.push((commits / tookMs) * 1_000)
      costs[side][connections]?.push({
        processUs: costOfAll.processUs / commits,
        machineUs: costOfAll.machineUs / commits,
        logBytes: costOfAll.logBytes / commits,
      })
    })
  }
  const read = async (side: keyof typeof STATEMENTS) => {
    bench.progress(`what PostgreSQL takes for a statement of ${side}`)
    const { beginning, table } = STATEMENTS[side]
    const url = await server.createDatabase('commits')
    const ms = await withDurations(server, url, async (readExecutions) => {
      await run(side, url, 1)
      return median(durationsOf(await readExecutions(), beginning))
    })
    const indexes = await withClient(url, async (client) => {
      const { rows } = await client.query<{ count: number }>(
        `select count(*)::int as count from pg_index where indrelid = '${table}'::regclass`,
      )
      return rows[0]?.count ?? NaN
    })
    return { us: ms * 1_000, indexes }
  }
  figures.statements = { plain: await read('plain'), roundsman: await read('roundsman') }
  await server.dropDatabase('commits')
  await closeRedis()
  return figures
}
