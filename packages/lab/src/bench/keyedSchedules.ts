import { setTimeout as pause } from 'node:timers/promises'
import { formatNumber, ms, table } from '../markdown.ts'
import { migrateEngine } from '../product.ts'
import type { Client } from 'pg'
import type { Bench } from './openBench.ts'
import { withClient, type Server } from './openServer.ts'
import { startWorkers } from './startWorkers.ts'

/** What becomes of schedules of the code while very many keyed ones are due at one instant. */
export interface KeyedFigures {
  workers: number
  keyed: number
  /** From the instant until the last of them was decided; null where there is none. */
  decidedMs: number | null
  /** From the tick of the code to its decision, in those seconds. */
  codeP99Ms: number
  codeLongestMs: number
}

const CODE_JOBS = 10
/** Its queue is paused: what is measured is deciding. */
const KEYED_JOB = `noop${CODE_JOBS}`
/** A busy machine takes longer than the target, and is to say how long. */
const MAX_MORE_S = 180
const ZONES = ['Europe/Lisbon', 'Europe/Berlin', 'Asia/Tokyo', 'America/New_York', 'UTC']

export async function measureKeyed(bench: Bench, server: Server): Promise<KeyedFigures[]> {
  const keyed = bench.sized({ small: 1_000, full: 100_000 })
  const variants = [
    { workers: 1, keyed: 0 },
    { workers: 1, keyed },
    { workers: 4, keyed },
  ]
  const figures: KeyedFigures[] = []
  for (const variant of variants) {
    bench.progress(`${variant.keyed} keyed schedules, ${variant.workers} workers`)
    figures.push(await measureOne(server, variant, bench.sized({ small: 5, full: 45 })))
  }
  return figures
}

async function measureOne(
  server: Server,
  { workers, keyed }: { workers: number; keyed: number },
  seconds: number,
): Promise<KeyedFigures> {
  const databaseUrl = await server.createDatabase('schedules')
  await migrateEngine(databaseUrl)
  return await withClient(databaseUrl, async (client) => {
    await client.query(`insert into "JobQueue" ("name", "pausedBy") values ($1, 'bench')`, [
      KEYED_JOB,
    ])
    await client.query(
      `insert into "JobSchedule" ("name", "key", "version", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs",
         "payload", "bytes", "cursor", "delayMs", "tzdata")
       select $1, 'tenant-' || n, 1, '0 9 * * *', ($3::text[])[1 + n % cardinality($3::text[])], 'once', 86400000, 'skip', 0, '{}', 2, now(), 0, $4
       from generate_series(1, $2::int) n`,
      [KEYED_JOB, keyed, ZONES, process.versions.tz ?? ''],
    )
    await client.query('vacuum analyze "JobSchedule"')
    const settings = { databaseUrl, jobs: CODE_JOBS + 1, cron: '* * * * * *' }
    const started = await Promise.all(Array.from({ length: workers }, () => startWorkers(settings)))
    const from = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 15_000)
    await client.query(`update "JobSchedule" set "nextAt" = $1, "dueAt" = $1 where "key" <> ''`, [
      from,
    ])
    await pause(from.getTime() + seconds * 1_000 - Date.now())
    for (let waited = 0; waited < MAX_MORE_S && (await isAnyDue(client)); waited++)
      await pause(1_000)
    const tookS = Math.round((Date.now() - from.getTime()) / 1_000)
    await Promise.all(started.map((worker) => worker.stop()))
    const { rows } = await client.query<Omit<KeyedFigures, 'workers' | 'keyed'> & { n: number }>(
      `select (select count(*)::int from "JobTick" where "key" <> '') as n,
         (select extract(epoch from max("createdAt") - $1)::float8 * 1000 from "JobTick" where "key" <> '') as "decidedMs",
         percentile_cont(0.99) within group (order by late) as "codeP99Ms", max(late) as "codeLongestMs"
       from (
         select extract(epoch from "createdAt" - "scheduledFor")::float8 * 1000 as late from "JobTick"
         where "key" = '' and "scheduledFor" >= $1 and "scheduledFor" < $1 + $2 * interval '1 second'
       ) code`,
      [from, tookS - 2],
    )
    await server.dropDatabase('schedules')
    const [row] = rows
    if (row?.n !== keyed) throw new Error(`${row?.n} of ${keyed} ticks were decided in ${tookS} s`)
    const { decidedMs, codeP99Ms, codeLongestMs } = row
    return { workers, keyed, decidedMs, codeP99Ms, codeLongestMs }
  })
}

async function isAnyDue(client: Client): Promise<boolean> {
  const due = 'select from "JobSchedule" where "key" <> \'\' and "dueAt" <= now() limit 1'
  return (await client.query(due)).rowCount !== 0
}

export function renderKeyed(figures: readonly KeyedFigures[]): string {
  if (figures.length === 0) return ''
  const rows = figures.map(({ workers, keyed, decidedMs, codeP99Ms, codeLongestMs }) => [
    formatNumber(workers),
    formatNumber(keyed),
    decidedMs === null ? '–' : ms(decidedMs),
    ms(codeP99Ms),
    ms(codeLongestMs),
  ])
  return `

Keyed schedules in ${ZONES.length} zones, all due at one instant, beside ${CODE_JOBS} jobs of the code that are due every second. The queue of theirs is
paused, so that deciding is what is measured. Lateness is from the tick to its decision.

${table(['workers', 'keyed schedules due', 'all decided after', 'late p99, code', 'latest, code'], rows)}`
}
