import type { Job } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import type { Observers } from '../run/combineObservers.ts'
import type { Connection, Database } from '../database/database.ts'
import { GIVING_WAY } from '../database/giveWay.ts'
import type { Clock } from './clock.ts'
import { decideRows, type DecidedRows } from './decideRows.ts'
import {
  defineSchedules,
  readDefiners,
  ticksSql,
  toDefinitions,
  type TicksSeen,
} from './defineSchedules.ts'
import {
  BY_INSTANT,
  BY_OFTEN,
  OWN_TZDATA,
  storedColumns,
  type StoredSchedule,
} from './storedSchedule.ts'

export interface Scheduler {
  start(clock: Clock): Promise<void>
  stop(): Promise<void>
  /**
   * Writes the schedules that this worker defines, and decides due ticks. A call during another one waits for it, and looks
   * again.
   */
  wake(): Promise<void>
  /** Processes the answer of a round: wakes the scheduler if there is work for it, and otherwise plans the next tick. */
  note(seen: TicksSeen): void
}

/** Interval of the search for instants that a process with older time zone data has computed. */
const RECOMPUTE_MS = 3_600_000
/** Approximate maximum of rows that one transaction decides. */
const BATCH_SIZE = 500
/** The worker that decided last looks at once. Others look later, by the head start and a random part of the spread. */
const HEAD_START_MS = 30
const SPREAD_MS = 70

/**
 * Decides the ticks of this worker's own jobs, by the rows of their schedules, and writes the rows that it defines. Any number
 * of workers may do so: the first one locks the due rows, and the others skip them. In memory it keeps only the instant of the
 * next tick, by the database's clock.
 */
export function createScheduler(options: {
  jobs: readonly Job[]
  database: Database
  workerId: string
  log: Pick<Logger, 'warn' | 'error' | 'info'>
  /** Called for each job with ticks that this worker has decided. */
  onTick?: (name: string) => void
  /** Called for each job with ticks that have enqueued work. */
  onWork?: (name: string) => void
  observers?: Observers | undefined
  tzdata?: string
}): Scheduler {
  const { jobs, database, workerId, log, tzdata = OWN_TZDATA } = options
  const names = jobs.map(({ name }) => name)
  const definitions = toDefinitions(jobs)
  const byName = new Map(jobs.map((job) => [job.name, job]))
  const jobOf = (name: string) => byName.get(name) as Job
  let waking: Promise<void> | null = null
  let isWanted = false
  let recomputing: Promise<void> = Promise.resolve()
  let isOurs = true
  let isStopped = false
  let ticking: { stop(): void } | null = null
  /** Measured by performance.now(), since the wall clock may jump. */
  let nextAtMs = Infinity
  let timer: NodeJS.Timeout | undefined
  let recomputeTimer: NodeJS.Timeout | undefined

  async function start(clock: Clock): Promise<void> {
    const { changed } = await look()
    await define(changed)
    if (isStopped) return
    // The full second is a second check: the timer follows the database's clock.
    ticking = clock(() => performance.now() >= nextAtMs && void wake())
    // A worker may be stopped while it starts.
    if (isStopped) return ticking.stop()
    // One after the other, since the workers of a deploy share the server's connections.
    recomputing = wake()
    recompute()
    recomputeTimer = setInterval(recompute, RECOMPUTE_MS)
  }

  async function wake(): Promise<void> {
    isWanted = true
    waking ??= (async () => {
      while (isWanted && !isStopped) {
        isWanted = false
        await lookAndDecide().catch((error: unknown) =>
          log.error({ err: error }, 'deciding due ticks failed, trying again'),
        )
      }
    })().finally(() => (waking = null))
    await waking
  }

  async function lookAndDecide(): Promise<void> {
    const wasDue = performance.now() >= nextAtMs
    // Until this has finished, each full second tries again.
    nextAtMs = -Infinity
    let seen = await look()
    if (await define(seen.changed)) seen = await look()
    let hasDecided = false
    while (seen.due.length > 0 && !isStopped) {
      // The next round tries locked rows again.
      if (!(await decide(seen.due))) return
      hasDecided = true
      seen = await look()
    }
    if (hasDecided || wasDue) isOurs = hasDecided
    plan(seen.nextInMs)
  }

  async function look(): Promise<TicksSeen> {
    const { rows } = await database.query<{ seen: TicksSeen }>(LOOK_SQL, [definitions])
    return (rows[0] as { seen: TicksSeen }).seen
  }

  function plan(nextInMs: number): void {
    nextAtMs = performance.now() + nextInMs
    clearTimeout(timer)
    if (ticking === null || isStopped) return
    const afterMs = isOurs ? 0 : HEAD_START_MS + Math.random() * SPREAD_MS
    timer = setTimeout(() => void wake(), nextInMs + afterMs)
  }

  function note({ due, changed, nextInMs }: TicksSeen): void {
    if (due.length > 0 || changed.length > 0) void wake()
    else if (waking === null) plan(nextInMs)
  }

  /** A worker that does not define a schedule takes no lock, so that it delays no tick. */
  async function define(changed: readonly string[]): Promise<boolean> {
    if (changed.length === 0) return false
    const definers = await readDefiners(database, changed, workerId)
    const mine = changed.filter((name) => definers.get(name)?.isMine)
    return await inParts(mine, async (part) => {
      const how = { workerId, log, tzdata }
      const worked = await database.transaction(
        (tx) => defineSchedules(tx, part.map(jobOf), how),
        GIVING_WAY,
      )
      for (const name of new Set(worked)) options.onWork?.(name)
      return true
    })
  }

  /** Decides some rows of each job, so that no job waits for one with many due ticks. Returns whether it has decided any. */
  async function decide(due: readonly string[]): Promise<boolean> {
    return await inParts(due, async (part) => {
      const limit = Math.ceil(BATCH_SIZE / part.length)
      const { rows, ticks } = await database.transaction(
        (tx) => decideLocked(tx, DUE_SQL, [part, limit]),
        GIVING_WAY,
      )
      for (const [name, decided] of Map.groupBy(ticks, (tick) => tick.name)) {
        options.onTick?.(name)
        if (decided.some(({ workId }) => workId !== null)) options.onWork?.(name)
        options.observers?.ticksDecided(name, decided, (rows[0] as StoredSchedule).now)
      }
      return rows.length > 0
    })
  }

  /** After a failure it tries each job separately, so that a lock or an error delays only one job. */
  async function inParts(
    all: readonly string[],
    work: (part: readonly string[]) => Promise<boolean>,
  ): Promise<boolean> {
    if (all.length === 0) return false
    try {
      return await work(all)
    } catch (error) {
      if (all.length === 1) {
        const line = 'the schedule of a job failed, trying again'
        log.error({ err: error, name: all[0] }, line)
        return false
      }
    }
    let isAny = false
    for (const name of all) isAny = (await inParts([name], work)) || isAny
    return isAny
  }

  async function decideLocked(
    tx: Connection,
    sql: string,
    values: readonly unknown[],
  ): Promise<DecidedRows> {
    const { rows } = await tx.query<StoredSchedule>(sql, values)
    if (rows.length === 0) return { rows: [], ticks: [], transactionId: null }
    const isLatest = async (name: string) =>
      (await readDefiners(tx, [name], workerId)).get(name)?.isOwnVersion ?? false
    return await decideRows(tx, rows, { jobOf, workerId, isLatest, log, tzdata })
  }

  /** Recomputes, page by page, the instants that a process with older time zone data has computed. */
  function recompute(): void {
    recomputing = recomputing.then(recomputeAll).catch((error: unknown) => {
      log.warn({ err: error }, 'bringing schedules up to these time zones failed')
    })
  }

  async function recomputeAll(): Promise<void> {
    const { rows: outdated } = await database.query<{ name: string }>(OUTDATED_JOBS_SQL, [
      names,
      tzdata,
    ])
    for (const { name } of outdated) {
      let after: string | null = null
      do {
        const values: unknown[] = [name, BATCH_SIZE, tzdata, after]
        const { rows }: DecidedRows = await database.transaction(
          (tx) => decideLocked(tx, OUTDATED_SQL, values),
          GIVING_WAY,
        )
        after = rows.at(-1)?.key ?? null
      } while (after !== null && !isStopped)
    }
  }

  return {
    start,
    wake,
    note,
    async stop() {
      isStopped = true
      ticking?.stop()
      clearTimeout(timer)
      clearInterval(recomputeTimer)
      await waking
      await recomputing
    },
  }
}

const LOOK_SQL = `select ${ticksSql('$1')} as "seen"`

/** Skips locked rows: another worker is deciding them, or a program is changing them. They stay due. */
const dueSql = ({ is, at }: typeof BY_OFTEN) => `(
    select * from (
      select ${storedColumns('now()')} from "JobSchedule" schedule
      where schedule."name" = job.name and ${is} and ${at} <= now()
      order by ${at} limit $2::int for update skip locked
    ) due
  )`

const DUE_SQL = `
  select due.* from unnest($1::text[]) job(name)
  cross join lateral (${dueSql(BY_INSTANT)} union all ${dueSql(BY_OFTEN)}) due`

const OUTDATED_JOBS_SQL = `
  select job.name from unnest($1::text[]) job(name) where exists (
    select from "JobSchedule" schedule where schedule."name" = job.name and schedule."tzdata" < $2::text
  )`

const OUTDATED_SQL = `
  select ${storedColumns('now()')} from "JobSchedule" schedule
  where schedule."name" = $1::text and schedule."tzdata" < $3::text and ($4::text is null or schedule."key" > $4::text)
  order by schedule."key" limit $2::int for update skip locked`
