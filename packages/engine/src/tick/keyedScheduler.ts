import type { Job } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import { isAliveSql } from '../liveness/whoIsLost.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { Connection, Database } from '../store/database.ts'
import { GIVING_WAY } from '../store/giveWay.ts'
import { decideKeyed, type DecidedRows } from './decideKeyed.ts'
import { lockRowsSql, OWN_TZDATA, type KeyedRow } from './keyedRow.ts'

/** How often it looks for schedules that a program with earlier rules of time zones has written. */
const RECOMPUTE_MS = 3_600_000
/** So many rows are decided in one transaction. */
const BATCH_SIZE = 500

/**
 * Decides the ticks of keyed schedules, of this worker's own jobs alone. It keeps nothing of them in memory: the round finds by an
 * index which jobs have any that are due, and here they are locked, 500 at a time, by whoever comes first.
 */
export function createKeyedScheduler(options: {
  jobs: readonly Job[]
  database: Database
  workerId: string
  log: Pick<Logger, 'warn' | 'error' | 'info'>
  onTick?: (name: string) => void
  onWork?: (name: string) => void
  observers?: Observers | undefined
  tzdata?: string
}) {
  const { database, workerId, log, tzdata = OWN_TZDATA } = options
  const jobs = new Map(options.jobs.map((job) => [job.name, job]))
  /** The names of the jobs whose turn is still to come, in order. */
  const queue = new Set<string>()
  let deciding: Promise<void> | null = null
  let recomputing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false

  /** Decides what is due of these jobs. A call while one is under way adds its jobs to that, and waits for it. */
  async function decide(names: readonly string[]): Promise<void> {
    for (const name of names) queue.add(name)
    deciding ??= decideAll().finally(() => (deciding = null))
    await deciding
  }

  /** A batch of each job in turn: one of which very much is due keeps no other waiting, also one that becomes due meanwhile. */
  async function decideAll(): Promise<void> {
    for (const name of queue) {
      queue.delete(name)
      const job = jobs.get(name)
      if (job === undefined || isStopped) continue
      try {
        if (await decideBatch(job)) queue.add(name)
      } catch (error) {
        const line = 'deciding due ticks of keyed schedules failed, trying again'
        log.error({ err: error, name }, line)
      }
    }
  }

  /** Whether more may be due. */
  async function decideBatch(job: Job): Promise<boolean> {
    const decided = await database.transaction(
      (tx) => decideLocked(tx, job, DUE_SQL, [BATCH_SIZE]),
      GIVING_WAY,
    )
    const [first] = decided.rows
    if (first === undefined) return false
    const { name } = job
    if (decided.ticks.length > 0) options.onTick?.(name)
    if (decided.transactionId !== null) options.onWork?.(name)
    if (decided.ticks.length > 0) options.observers?.ticksDecided(name, decided.ticks, first.now)
    return decided.hasMore
  }

  async function decideLocked(
    tx: Connection,
    job: Job,
    sql: string,
    values: readonly unknown[],
  ): Promise<DecidedRows & { hasMore: boolean }> {
    const pauseS = Math.ceil(job.retry.maxDelayMs / 1_000)
    const { rows } = await tx.query<KeyedRow>(sql, [job.name, pauseS, ...values])
    if (rows.length === 0) return { rows: [], ticks: [], transactionId: null, hasMore: false }
    const isLatest = () => isOfLatestVersion(tx, job.name, workerId)
    const decided = await decideKeyed(tx, rows, { job, workerId, isLatest, log, tzdata })
    const hasMore = rows.length === BATCH_SIZE || decided.rows.length < rows.length
    return { ...decided, hasMore }
  }

  /** In pages, beside all else. Where nothing is outdated it is one statement. */
  async function recompute(): Promise<void> {
    const { rows: outdated } = await database.query<{ name: string }>(OUTDATED_JOBS_SQL, [
      [...jobs.keys()],
      tzdata,
    ])
    for (const { name } of outdated) {
      const job = jobs.get(name) as Job
      let after: string | null = ''
      while (after !== null && !isStopped) {
        const from: string = after
        const { rows, hasMore } = await database.transaction(
          (tx) => decideLocked(tx, job, OUTDATED_SQL, [BATCH_SIZE, tzdata, from]),
          GIVING_WAY,
        )
        after = hasMore ? (rows.at(-1) as KeyedRow).key : null
      }
    }
  }

  return {
    /** Begins to bring what earlier rules of time zones have computed up to its own, page by page, and does not wait for it. */
    start() {
      const begin = () => {
        recomputing = recomputing.then(recompute).catch((error: unknown) => {
          log.warn({ err: error }, 'bringing keyed schedules up to these time zones failed')
        })
      }
      begin()
      timer = setInterval(begin, RECOMPUTE_MS)
    },
    async stop() {
      isStopped = true
      clearInterval(timer)
      await deciding
      await recomputing
    },
    decide,
  }
}

/** Rows that another worker is deciding, or a program changes, stay due. */
const DUE_SQL = lockRowsSql(
  `schedule."dueAt" <= now() order by schedule."dueAt" limit $3::int for update skip locked`,
  'now()',
)

const OUTDATED_JOBS_SQL = `
  select job.name from unnest($1::text[]) job(name) where exists (
    select from "JobKeyedSchedule" schedule where schedule."name" = job.name and schedule."tzdata" < $2::text
  )`

const OUTDATED_SQL = lockRowsSql(
  `schedule."key" > $5::text and schedule."tzdata" < $4::text order by schedule."key" limit $3::int for update skip locked`,
  'now()',
)

/** Whether the worker is of the version of that which started last, of those that live and know the job. */
async function isOfLatestVersion(tx: Connection, name: string, workerId: string): Promise<boolean> {
  const { rows } = await tx.query<{ isLatest: boolean }>(
    `with living as materialized (
       select worker."id", worker."version", worker."startedAt" from "JobWorker" worker
       where worker."lanes" ? $1::text and (worker."id" = $2::text or ${isAliveSql('worker."id"')})
     )
     select (select "version" from living order by "startedAt" desc, "id" desc limit 1)
       is not distinct from (select "version" from living where "id" = $2::text) as "isLatest"`,
    [name, workerId],
  )
  return rows[0]?.isLatest ?? false
}
