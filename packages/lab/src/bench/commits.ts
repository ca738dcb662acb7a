import { join } from 'node:path'
import { formatNumber, table } from '../markdown.ts'
import { startProcess } from '../startProcess.ts'
import { bySide, compare, median, summarise } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { withClient } from './openServer.ts'
import { defineScenario } from './scenario.ts'
import { durationsOf, withDurations } from './statementDurations.ts'
import { startRedis } from './throughput/startRedis.ts'

const LABELS = {
  plain: 'a plain insert instead',
  roundsman: 'Roundsman',
  pgBoss: 'pg-boss with LISTEN/NOTIFY',
  graphileWorker: 'graphile-worker',
  bullMq: 'BullMQ on Redis, after the commit',
}
type Side = keyof typeof LABELS
const SIDES = Object.keys(LABELS) as Side[]

/** How many connections commit at once. */
const CONNECTIONS = [1, 8, 32, 64] as const

export interface CommitSettings {
  side: Side
  url: string
  redisUrl: string
  connections: number
  durationMs: number
}

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
type CommitCost = Pick<Committed, 'processUs' | 'machineUs' | 'logBytes'>

interface CommitFigures {
  /** Transactions committed a second, in each round, by the number of connections. */
  perSecond: Record<Side, Record<Connections, number[]>>
  /** By connections, of each round. */
  costs: Record<Side, Record<Connections, CommitCost[]>>
  /** What PostgreSQL takes for what a transaction does beside its own row, by one connection, and what it has to look at. */
  statements: Record<'plain' | 'roundsman', { us: number; indexes: number }>
  redis: string | null
}

const TARGET = 0.85

export const commits = defineScenario<CommitFigures>({
  name: 'commits',
  title: 'Commits of transactions that enqueue',
  rounds: 5,
  measure: measureCommits,
  targets: (figures) =>
    CONNECTIONS.map((connections) => ({
      what: `commits/s by ${connections} connections, to the same transactions with a plain insert instead`,
      atLeast: TARGET,
      unit: '×',
      measured: toPlain(figures.perSecond, 'roundsman', connections),
      obstacle: tellObstacle(figures, connections),
    })),
  render(figures) {
    const { perSecond, redis } = figures
    const rows = measured(perSecond).map((side) => [
      LABELS[side],
      ...CONNECTIONS.map((connections) => {
        const ratio = toPlain(perSecond, side, connections).median
        return `${formatNumber(median(perSecond[side][connections]))} (${formatNumber(ratio)})`
      }),
    ])
    return `Requests of a product: each begins a transaction, writes a row of its own, enqueues by the engine's own call in that
transaction, and commits; so many connections do so at once, from one process, and nobody takes the work. In brackets
to the same transactions with an insert into a plain table instead. PostgreSQL lines up all commits that notify behind
one lock, which each holds until it is on disk: what an engine costs the product's other requests is seen with many
connections. BullMQ enqueues after the commit, and what a crash loses in between is lost.${redis === null ? ' BullMQ was not run: no Redis.' : ''}

${table(['commits/s, connections:', ...CONNECTIONS.map(String)], rows)}

${tellCosts(figures)}

${forATeam(perSecond)}`
  },
  plots: ({ perSecond }) => [
    {
      name: 'ratio',
      title: 'Commits a second, to the same transactions with a plain insert',
      unit: '×',
      limit: { label: 'target 0.85', value: TARGET },
      bars: CONNECTIONS.flatMap((connections) =>
        measured(perSecond)
          .filter((side) => side !== 'plain')
          .map((side) => ({
            label: `${connections}: ${LABELS[side]}`,
            value: toPlain(perSecond, side, connections),
            isOurs: side === 'roundsman',
          })),
      ),
    },
    {
      name: 'commits',
      title: 'Commits a second of transactions that enqueue, by 32 connections',
      unit: '/s',
      bars: measured(perSecond).map((side) => ({
        label: LABELS[side],
        value: summarise(perSecond[side][32]),
        isOurs: side === 'roundsman',
      })),
    },
  ],
})

type Connections = (typeof CONNECTIONS)[number]

function toPlain(perSecond: CommitFigures['perSecond'], side: Side, connections: Connections) {
  return compare(perSecond[side][connections], perSecond.plain[connections])
}

function measured(perSecond: CommitFigures['perSecond']): Side[] {
  return SIDES.filter((side) => perSecond[side][1].length > 0)
}

/** What a transaction takes, where many are under way. */
function tellCosts({ costs, perSecond }: CommitFigures): string {
  const rows = measured(perSecond).map((side) => {
    const of = (key: keyof CommitCost) => tellCost(costs[side][MANY], key)
    return [LABELS[side], `${of('processUs')} µs`, `${of('machineUs')} µs`, of('logBytes')]
  })
  const headings = ["product's process", 'whole machine', "bytes of PostgreSQL's log"]
  return `What one of them costs by ${MANY} connections, in processor time:

${table(['', ...headings], rows)}`
}

function tellCost(costs: readonly CommitCost[], key: keyof CommitCost): string {
  return formatNumber(median(costs.map((cost) => cost[key])))
}

/** Requests that enqueue, in a second, of a team that is busy and not large. */
const TEAM = 100
const MANY = 32

function forATeam(perSecond: CommitFigures['perSecond']): string {
  const share = (side: Side) => formatNumber((TEAM / median(perSecond[side][MANY])) * 100)
  const alone = (side: Side) => formatNumber(1_000 / median(perSecond[side][1]))
  return `For a team with ${TEAM} requests a second that enqueue: of what the database commits by ${MANY} connections, with nothing else to
do, they take ${share('roundsman')} %, where a plain insert takes ${share('plain')} % and pg-boss ${share('pgBoss')} %. Whoever is alone
waits ${alone('roundsman')} ms for such a transaction, from its beginning to the end of its commit, and ${alone('plain')} ms with a plain insert.`
}

/** What a transaction costs more. */
function tellObstacle({ costs, statements }: CommitFigures, connections: Connections): string {
  const of = (side: 'plain' | 'roundsman', key: keyof CommitCost) =>
    tellCost(costs[side][connections], key)
  const { plain, roundsman } = statements
  return `a commit takes ${of('roundsman', 'machineUs')} µs of processor time, ${of('roundsman', 'processUs')} of it in the product's process (with a plain insert ${of('plain', 'machineUs')} and ${of('plain', 'processUs')}); PostgreSQL carries out the enqueue in ${formatNumber(roundsman.us)} µs, with ${roundsman.indexes} indexes to ask about, and the plain insert in ${formatNumber(plain.us)} µs, with ${plain.indexes}; ${of('roundsman', 'logBytes')} and ${of('plain', 'logBytes')} bytes of log`
}

/** What the statement of each begins with, and the table that it writes into. */
const STATEMENTS = {
  plain: { beginning: 'insert into "Plain"', into: '"Plain"' },
  roundsman: { beginning: '/* roundsman_send', into: '"JobWork"' },
} as const

const COMMIT_PROCESS = join(import.meta.dirname, 'commitProcess.ts')

/** Measures requests that write a row of their own and enqueue, while nobody takes the work. */
async function measureCommits(bench: Bench): Promise<CommitFigures> {
  const durationMs = bench.sized({ small: 200, full: 3_000 })
  const server = await bench.server()
  const redis = await startRedis()
  const closeRedis = bench.onClose(async () => await redis?.close())
  const perSecond = bySide(SIDES, () => bySide(CONNECTIONS, (): number[] => []))
  const costs = bySide(SIDES, () => bySide(CONNECTIONS, (): CommitCost[] => []))
  const run = async (side: Side, url: string, connections: number): Promise<Committed> => {
    const redisUrl = redis?.url ?? ''
    const settings: CommitSettings = { side, url, redisUrl, connections, durationMs }
    const child = startProcess(COMMIT_PROCESS, { settings })
    const committed = await child.told<Committed>('committed')
    await child.stop()
    return committed
  }
  const sides = SIDES.filter((side) => side !== 'bullMq' || redis !== null)
  for (const connections of CONNECTIONS) {
    await bench.interleave(sides, async (side, round) => {
      bench.progress(`round ${round + 1}, ${connections} connections, ${side}`)
      const url = await server.createDatabase('commits')
      const committed = await run(side, url, connections)
      const { commits: count, tookMs } = committed
      perSecond[side][connections].push((count / tookMs) * 1_000)
      costs[side][connections].push({
        processUs: committed.processUs / count,
        machineUs: committed.machineUs / count,
        logBytes: committed.logBytes / count,
      })
    })
  }
  const read = async (side: keyof typeof STATEMENTS) => {
    bench.progress(`what PostgreSQL takes for a statement of ${side}`)
    const { beginning, into } = STATEMENTS[side]
    const url = await server.createDatabase('commits')
    const tookMs = await withDurations(server, url, async (readExecutions) => {
      await run(side, url, 1)
      return median(durationsOf(await readExecutions(), beginning))
    })
    const indexes = await withClient(url, async (client) => {
      const { rows } = await client.query<{ count: number }>(
        `select count(*)::int as count from pg_index where indrelid = '${into}'::regclass`,
      )
      return rows[0]?.count ?? NaN
    })
    return { us: tookMs * 1_000, indexes }
  }
  const statements = { plain: await read('plain'), roundsman: await read('roundsman') }
  await server.dropDatabase('commits')
  await closeRedis()
  return { perSecond, costs, statements, redis: redis?.version ?? null }
}
