import { setTimeout as pause } from 'node:timers/promises'
import type { Client } from 'pg'
import { formatNumber, ms, table } from '../markdown.ts'
import { bySide, distribution, median, summarise, type Distribution } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { withClient, type Server } from './openServer.ts'
import { defineScenario, type Plot } from './scenario.ts'
import { durationsOf, withDurations } from './statementDurations.ts'
import { startWorkers, timeWorkers } from './startWorkers.ts'

/** Whether the work of tenants has keys; without, it is taken as it came. */
const SIDES = ['keys', 'plain'] as const
type Side = (typeof SIDES)[number]
/** What waits of another tenant. */
const BESIDE = ['alone', 'large'] as const

interface SharesFigures {
  /** How long PostgreSQL took for a claim: the median, of the first and of the last pieces under one snapshot. */
  claims: { pieces: number; firstMs: number; lastMs: number }
  /** How long pieces of a tenant that has little waited, which came one by one. */
  steady: { backlog: number; waits: Record<(typeof BESIDE)[number], Distribution> }
  /** How long the pieces of each tenant waited that were all there at the start, the large one's first. */
  fleet: { large: number; small: number; waitsMs: Record<Side, Record<string, number[]>> }
}

const CLAIM = 'with alive as materialized'
const RUN_MS = 10
const EACH_WORKER = { concurrency: 20, runMs: RUN_MS }
const WORKERS = 4
const TENANTS = 50
const EACH = 20
/** More than what is kept of the large tenant's waits says nothing more. */
const MAX_WAITS = 1_000

export const shares = defineScenario<SharesFigures>({
  name: 'shares',
  title: 'A tenant with very much beside others',
  rounds: 1,
  measure: measureShares,
  targets({ claims, steady, fleet }) {
    const { alone, large } = steady.waits
    return [
      {
        what: `a claim after ${formatNumber(claims.pieces)} pieces under an old snapshot, to the first`,
        atMost: 2,
        unit: '×',
        measured: claims.lastMs / claims.firstMs,
      },
      {
        what: `p99 of a tenant's wait beside ${formatNumber(steady.backlog)} pieces of another, to the same alone`,
        atMost: 2,
        unit: '×',
        measured: large.p99Ms / alone.p99Ms,
      },
      {
        what: `the longest wait of ${TENANTS} small tenants beside a large one, to the same without keys`,
        atMost: 0.25,
        unit: '×',
        measured: longestOf(fleet.waitsMs.keys) / longestOf(fleet.waitsMs.plain),
      },
    ]
  },
  render({ claims, steady, fleet }) {
    const row = (of: (typeof BESIDE)[number], what: string) => {
      const { count, p50Ms, p99Ms, maxMs } = steady.waits[of]
      return [what, formatNumber(count), ms(p50Ms), ms(p99Ms), ms(maxMs)]
    }
    return `A claim is what the server's log says PostgreSQL took for the statement, while a transaction that began before all holds its snapshot: of the first
pieces ${ms(claims.firstMs)}, after ${formatNumber(claims.pieces)} ${ms(claims.lastMs)}.

A run takes ${RUN_MS} ms. Pieces of one tenant come one by one, and wait for as long as it takes until a worker has claimed them:

${table(
  ['of another tenant', 'pieces', 'median', 'p99', 'longest'],
  [row('alone', 'nothing waits'), row('large', `${formatNumber(steady.backlog)} pieces wait`)],
)}

A fleet of ${WORKERS} workers comes to ${formatNumber(fleet.large)} pieces of one tenant, and behind them ${fleet.small} of each of ${TENANTS} others. Until the last of these
has started, in the worst case, with keys ${ms(longestOf(fleet.waitsMs.keys))}, without ${ms(longestOf(fleet.waitsMs.plain))}. The plots have the wait of each tenant.`
  },
  plots: ({ fleet: { waitsMs } }) => [
    plotOf('keys', 'Wait of each tenant, its work having a key', waitsMs),
    plotOf('plain', 'Wait of each tenant, without keys', waitsMs),
  ],
})

/** Both have one scale. */
function plotOf(side: Side, title: string, waitsMs: SharesFigures['fleet']['waitsMs']): Plot {
  return {
    name: side,
    title,
    unit: 'ms',
    limit: { label: 'longest without keys', value: longestOf(waitsMs.plain) },
    bars: Object.entries(waitsMs[side]).map(([label, values]) => ({
      label,
      value: summarise(values),
      isOurs: side === 'keys',
    })),
  }
}

/** Of the small tenants. */
const longestOf = (waits: Record<string, number[]>) =>
  Math.max(...Object.entries(waits).flatMap(([tenant, of]) => (tenant === 'large' ? [] : of)))

async function measureShares(bench: Bench): Promise<SharesFigures> {
  const server = await bench.server()
  bench.progress('claims under an old snapshot')
  const claims = await measureClaims(bench, server)
  const backlog = bench.sized({ small: 500, full: 500_000 })
  const waits = {} as SharesFigures['steady']['waits']
  for (const side of BESIDE) {
    bench.progress(`a tenant with little, ${side}`)
    waits[side] = await measureSteady(bench, server, side === 'large' ? backlog : 0)
  }
  const large = bench.sized({ small: 500, full: 100_000 })
  const waitsMs = bySide(SIDES, (): Record<string, number[]> => ({}))
  await bench.interleave(SIDES, async (side) => {
    bench.progress(`a fleet, ${side}`)
    waitsMs[side] = await measureFleet(server, side, large)
  })
  return { claims, steady: { backlog, waits }, fleet: { large, small: EACH, waitsMs } }
}

/** With `key` null: `keys` tenants in turn. */
async function insert(client: Client, count: number, key: string | null, keys = 20): Promise<void> {
  await client.query(
    'create table if not exists "benchPiece" ("id" uuid, "key" text, "at" timestamptz)',
  )
  await client.query(
    `with piece as (
       insert into "JobWork" ("id", "name", "bytes", "payload", "key")
       select gen_random_uuid(), 'noop0', 2, '{}', coalesce($2, 'tenant ' || n % $3::int) from generate_series(1, $1::int) n
       returning "id", "key"
     )
     insert into "benchPiece" select "id", "key", clock_timestamp() from piece`,
    [count, key, keys],
  )
}

/** How long the pieces of each tenant waited until they were claimed, counted from `since`. */
async function readWaits(client: Client, since: string): Promise<Record<string, number[]>> {
  const { rows } = await client.query<{ key: string; waits: number[] }>(
    `select piece."key", (array_agg(extract(epoch from run."createdAt" - ${since})::float8 * 1000))[:${MAX_WAITS}] as "waits"
     from "benchPiece" piece join "JobRun" run on run."workId" = piece."id" group by piece."key" order by length(piece."key"), piece."key"`,
  )
  return Object.fromEntries(rows.map(({ key, waits }) => [key, waits]))
}

async function measureClaims(bench: Bench, server: Server): Promise<SharesFigures['claims']> {
  const [between, measured] = bench.sized({ small: [500, 500], full: [560_000, 20_000] })
  const databaseUrl = await server.createDatabase('shares')
  const work = async (client: Client, count: number) => {
    await insert(client, count, null)
    await client.query('analyze "JobWork"')
    await timeWorkers({ databaseUrl, count, concurrency: 1_000, limits: { perKey: 100 } })
  }
  const medianOf = (client: Client) =>
    withDurations(server, databaseUrl, async (read) => {
      await work(client, measured)
      const limited = (await read()).filter(({ text }) => text.includes('JobLimitState'))
      return median(durationsOf(limited, CLAIM))
    })
  return await withClient(databaseUrl, async (client) =>
    withClient(databaseUrl, async (holder) => {
      await holder.query('begin isolation level repeatable read')
      await holder.query('select 1')
      const firstMs = await medianOf(client)
      await work(client, between)
      const lastMs = await medianOf(client)
      return { pieces: between + 2 * measured, firstMs, lastMs }
    }),
  )
}

async function measureSteady(bench: Bench, server: Server, backlog: number): Promise<Distribution> {
  const databaseUrl = await server.createDatabase('shares')
  return await withClient(databaseUrl, async (client) => {
    await insert(client, backlog, 'large')
    await client.query('vacuum analyze "JobWork"')
    const workers = await startWorkers({ databaseUrl, ...EACH_WORKER, limits: { perKey: 10 } })
    await pause(bench.sized({ small: 100, full: 3_000 }))
    const count = bench.sized({ small: 20, full: 500 })
    for (let n = 0; n < count; n++) {
      await insert(client, 1, 'small')
      await client.query(`select pg_notify('roundsman_work', 'noop0')`)
      await pause(30)
    }
    while ((await countWaiting(client, `"key" = 'small'`)) > 0) await pause(20)
    await workers.stop()
    return distribution((await readWaits(client, 'piece."at"'))['small'] ?? [])
  })
}

async function countWaiting(client: Client, which: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(
    `select count(*)::int as n from "JobWork" where ${which}`,
  )
  return rows[0]?.n ?? 0
}

async function measureFleet(
  server: Server,
  side: Side,
  large: number,
): Promise<Record<string, number[]>> {
  const databaseUrl = await server.createDatabase('shares')
  return await withClient(databaseUrl, async (client) => {
    await insert(client, large, 'large')
    await insert(client, TENANTS * EACH, null, TENANTS)
    await client.query('vacuum analyze "JobWork"')
    const workers = await startWorkers({
      databaseUrl,
      workers: WORKERS,
      ...EACH_WORKER,
      ...(side === 'keys' && { limits: { perKey: 1_000 } }),
    })
    while ((await countWaiting(client, `"key" <> 'large'`)) > 0) await pause(100)
    await workers.stop()
    return await readWaits(client, '(select min("createdAt") from "JobRun")')
  })
}
