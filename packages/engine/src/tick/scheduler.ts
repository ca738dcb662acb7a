import { setTimeout as pause } from 'node:timers/promises'
import { labelPayload } from '../job/labelWork.ts'
import type { Logger } from '../job/logger.ts'
import { v7 as uuid } from 'uuid'
import type { ScheduledJob } from '../index.ts'
import type { Connection, Database } from '../store/database.ts'
import { nodeCronClock, type Clock } from './clock.ts'
import type { Observers } from '../run/combineObservers.ts'
import { createNextTick } from './nextTicks.ts'
import { decideTicks, type TickDecision } from './decideTicks.ts'
import { dueTicks, type DueTicks } from './dueTicks.ts'
import { QueueMissingError } from '../store/sendWork.ts'
import { isUnfinishedSql } from '../store/queueSql.ts'
import type { Queue } from '../store/queue.ts'

export interface Scheduler {
  start(): Promise<void>
  stop(): Promise<void>
  /** Decides all ticks that are due by now. The clock calls it every second; tests call it themselves. */
  wake(): Promise<void>
}

export interface SchedulerOptions {
  jobs: readonly ScheduledJob[]
  database: Database
  queue: Pick<Queue, 'sendAll'>
  workerId: string
  log: Logger
  now: () => Date
  /** Called for each job whose ticks this worker has decided. */
  onTick?: (name: string) => void
  /** Called for each job for which such a tick has enqueued work. */
  onWork?: (name: string) => void
  observers?: Observers | undefined
  clock?: Clock
  /**
   * How long this worker gives the worker that decided a schedule's last tick to decide the next. After that it looks, and
   * decides the tick itself if nobody has. Default 50 ms.
   */
  headStartMs?: number
}

/** How far a worker's clock may be ahead of the database's. Synchronised clocks differ by milliseconds. */
const MAX_CLOCK_LEAD_MS = 1_000
const LATEST_SQL = `clock_timestamp() + interval '${MAX_CLOCK_LEAD_MS} milliseconds'`

/** What a worker knows of a schedule between two queries. */
interface Plan {
  job: ScheduledJob
  /** The cursor as this worker last saw it in the database. */
  cursor: Date
  /** Null when the schedule is never due again, or another worker has a newer version of it. */
  nextDue: Date | null
  /** The tick after `nextDue`. */
  following: Date | null
  /** Whether this worker decided its last tick, or nobody has decided one. Then it tries without a head start for others. */
  isOurs: boolean
}

interface ScheduleRow {
  [column: string]: unknown
  name: string
  cron: string
  timeZone: string
  cursor: Date
  /** Somebody has set the cursor to a value from which the calendar cannot go on, or would take forever. */
  isStrange: boolean
}

/** A schedule whose cursor this worker has advanced. */
interface Won {
  [column: string]: unknown
  name: string
  cursor: Date
  pausedAt: Date | null
  isUnfinished: boolean
}

interface Candidate {
  plan: Plan
  due: DueTicks
}

interface Decided {
  cursors: Map<string, Date>
  ticks: LedgerEntry[]
  decidedAt: Date
}

/**
 * Turns due instants into rows of the tick ledger and work in the queue, in one transaction. Any number of workers may run
 * a scheduler: advancing a schedule's cursor is a compare-and-set, and the worker that wins decides the ticks. The worker
 * that decided a schedule's last tick tries first; the others look a moment later whether it did. Each keeps the next due
 * times in memory, so that an idle second costs no query.
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const {
    jobs,
    database,
    queue,
    workerId,
    log,
    now,
    clock = nodeCronClock,
    headStartMs = 50,
  } = options
  const plans = new Map<string, Plan>()
  const nextTick = createNextTick()
  let ticking: { stop(): void } | null = null
  /** This worker's clock was ahead last time: then a round first asks for the database's time, which else only the claim checks. */
  let isAhead = false
  let round: Promise<void> | null = null

  async function start(): Promise<void> {
    const startedAt = await boundedNow()
    await registerSchedules(database, jobs, startedAt)
    for (const job of jobs) {
      plans.set(job.name, { job, cursor: startedAt, nextDue: null, following: null, isOurs: true })
    }
    await refresh([...plans.values()])
    ticking = clock(() => void wake(), log)
  }

  async function stop(): Promise<void> {
    ticking?.stop()
    ticking = null
    await round
  }

  async function wake(): Promise<void> {
    // One round at a time: ticks that become due during a long round are still due when the next second wakes us.
    round ??= decideDue()
      .catch((error: unknown) =>
        log.error({ err: error }, 'deciding due ticks failed, trying again'),
      )
      .finally(() => (round = null))
    await round
  }

  async function decideDue(): Promise<void> {
    if (duePlans(now()).length === 0) return
    const instant = isAhead ? await boundedNow() : now()
    const due = duePlans(instant)
    await decide(
      due.filter(({ isOurs }) => isOurs),
      instant,
    )
    const left = due.filter(({ isOurs }) => !isOurs)
    if (left.length === 0) return
    await pause(headStartMs)
    await refresh(left)
    await decide(
      left.filter(({ nextDue }) => nextDue !== null && nextDue <= instant),
      instant,
    )
  }

  /** Decides single due ticks first: after an outage, asking the calendar for the others takes long. */
  async function decide(due: readonly Plan[], instant: Date): Promise<void> {
    const { known = [], unknown = [] } = Object.groupBy(due, (plan) =>
      findOneDue(plan, instant) === null ? 'unknown' : 'known',
    )
    await decideTogether(known, instant)
    await decideTogether(unknown, instant)
  }

  async function decideTogether(due: readonly Plan[], instant: Date): Promise<void> {
    if (due.length === 0) return
    const candidates = await Promise.all(
      due.map(async (plan) => ({
        plan,
        due: findOneDue(plan, instant) ?? (await dueTicks(plan.job.schedule, plan.cursor, instant)),
      })),
    )
    const won = await decideCandidates(candidates, instant)
    const ticks = Map.groupBy(won.ticks, ({ name }) => name)
    for (const plan of due) {
      const { name } = plan.job
      const cursor = won.cursors.get(name)
      plan.isOurs = cursor !== undefined
      if (cursor === undefined) continue
      advance(plan, cursor)
      const decided = ticks.get(name) ?? []
      options.onTick?.(name)
      if (decided.some(({ queueJobId }) => queueJobId !== null)) options.onWork?.(name)
      options.observers?.ticksDecided(name, decided, won.decidedAt)
    }
  }

  /** When a job's queue is missing, its own ticks stay due, and those of other jobs are decided. */
  async function decideCandidates(candidates: Candidate[], instant: Date): Promise<Decided> {
    try {
      return await database.transaction((tx) => claimTicks(tx, candidates, instant))
    } catch (error) {
      if (!(error instanceof QueueMissingError)) throw error
      log.error({ err: error }, 'ticks could not be enqueued, trying again')
      const others = candidates.filter(({ plan }) => !error.jobs.includes(plan.job.name))
      return await database.transaction((tx) => claimTicks(tx, others, instant))
    }
  }

  function duePlans(instant: Date): Plan[] {
    return [...plans.values()].filter(({ nextDue }) => nextDue !== null && nextDue <= instant)
  }

  /** Returns the due tick if it is known to be the only one; null when the calendar has to be asked. */
  function findOneDue({ nextDue, following }: Plan, instant: Date): DueTicks | null {
    const isOnly = nextDue !== null && (following === null || following > instant)
    return isOnly ? { listed: [nextDue], earlier: null } : null
  }

  /** Our time, but no later than the database's: a worker whose clock is ahead must not decide ticks that are not due yet. */
  async function boundedNow(): Promise<Date> {
    const { rows } = await database.query<{ latest: Date }>(`select ${LATEST_SQL} as "latest"`)
    return bound(now(), rows[0]?.latest)
  }

  function bound(instant: Date, latest: Date | undefined): Date {
    isAhead = latest !== undefined && latest < now()
    return latest !== undefined && latest < instant ? latest : instant
  }

  async function claimTicks(
    tx: Connection,
    candidates: readonly Candidate[],
    instant: Date,
  ): Promise<Decided> {
    const { rows } = await tx.query<{ latest: Date } & (Won | { name: null })>(CLAIM_SQL, [
      candidates.map(({ plan }) => plan.job.name),
      candidates.map(({ plan }) => plan.cursor),
      candidates.map(({ due }) => due.listed.at(-1)),
      candidates.map(({ plan }) => plan.job.schedule.cron),
      candidates.map(({ plan }) => plan.job.schedule.timeZone),
    ])
    const decidedAt = bound(instant, rows[0]?.latest)
    const won = new Map(
      rows.flatMap((row) => (row.name === null ? [] : [[row.name, row] as const])),
    )
    const cursors = new Map([...won].map(([name, { cursor }]) => [name, cursor]))
    const entries: LedgerEntry[] = []
    for (const { plan, due } of candidates) {
      const { name, schedule } = plan.job
      const row = won.get(name)
      if (!row) continue
      const situation = {
        now: decidedAt,
        isPaused: row.pausedAt !== null,
        isUnfinished: row.isUnfinished,
      }
      for (const decision of decideTicks(schedule, due, situation)) {
        const queueJobId = decision.outcome === 'enqueued' ? uuid() : null
        entries.push({ ...decision, name, queueJobId })
      }
    }
    if (entries.length === 0) return { cursors, ticks: [], decidedAt }
    const ticks = await writeLedger(tx, workerId, entries)
    await queue.sendAll(
      tx,
      ticks.flatMap(({ name, scheduledFor, queueJobId: id }) => {
        if (id === null) return []
        const at = scheduledFor.toISOString()
        const job = plans.get(name)?.job
        const label = job && labelPayload(job, {}, log)
        const envelope = { payload: {}, trigger: 'schedule', scheduledFor: at, ...label } as const
        return { id, name, envelope }
      }),
    )
    return { cursors, ticks, decidedAt }
  }

  async function refresh(stale: readonly Plan[]): Promise<void> {
    const names = stale.map(({ job }) => job.name)
    let rows = await readSchedules(database, names)
    const strange = rows.filter(({ isStrange }) => isStrange)
    if (strange.length > 0) {
      for (const { name, cursor } of strange) {
        const line =
          'the schedule has an impossible cursor: it goes on from its last tick, or from now'
        log.error({ name, cursor: String(cursor) }, line)
      }
      await database.query(MEND_SQL, [strange.map(({ name }) => name), await boundedNow()])
      rows = await readSchedules(database, names)
    }
    const stored = new Map(rows.map((row) => [row.name, row]))
    for (const plan of stale) {
      const { name, schedule } = plan.job
      const row = stored.get(name)
      if (row?.cron === schedule.cron && row.timeZone === schedule.timeZone) {
        advance(plan, row.cursor)
      } else {
        if (plan.nextDue !== null) log.warn({ name }, 'schedule was changed by a newer worker')
        plan.nextDue = null
      }
    }
  }

  function advance(plan: Plan, cursor: Date): void {
    const { schedule } = plan.job
    const isExpected = plan.nextDue?.getTime() === cursor.getTime()
    plan.cursor = cursor
    plan.nextDue = isExpected ? plan.following : nextTick(schedule, cursor)
    plan.following = plan.nextDue && nextTick(schedule, plan.nextDue)
  }

  return { start, stop, wake }
}

/** Beyond these dates are values such as `infinity`, which no Date holds, and spans too long to count ticks in. */
const IS_STRANGE = `not "cursor" between '1970-01-01Z' and '9999-01-01Z'`

async function readSchedules(database: Database, names: readonly string[]): Promise<ScheduleRow[]> {
  const { rows } = await database.query<ScheduleRow>(
    `select "name", "cron", "timeZone", "cursor", ${IS_STRANGE} as "isStrange"
     from "JobSchedule" where "name" = any($1)`,
    [names],
  )
  return rows
}

const MEND_SQL = `
  update "JobSchedule" schedule
  set "cursor" = least($2::timestamptz, (
    select coalesce(tick."through", tick."scheduledFor") from "JobTick" tick
    where tick."name" = schedule."name" order by tick."scheduledFor" desc limit 1
  ))
  where "name" = any($1) and ${IS_STRANGE}`

/**
 * Stores the schedules. A new or changed one starts from now; an unchanged one goes on where its ledger ends, however long
 * no worker lived.
 */
async function registerSchedules(
  database: Database,
  jobs: readonly ScheduledJob[],
  now: Date,
): Promise<void> {
  await database.query(
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt")
     select name, cron, "timeZone", $4::timestamptz, $4::timestamptz
     from unnest($1::text[], $2::text[], $3::text[]) as job(name, cron, "timeZone")
     on conflict ("name") do update
       set "cron" = excluded."cron", "timeZone" = excluded."timeZone",
           "cursor" = excluded."cursor", "updatedAt" = excluded."updatedAt"
       where ("JobSchedule"."cron", "JobSchedule"."timeZone") is distinct from (excluded."cron", excluded."timeZone")`,
    [
      jobs.map(({ name }) => name),
      jobs.map(({ schedule }) => schedule.cron),
      jobs.map(({ schedule }) => schedule.timeZone),
      now,
    ],
  )
}

/**
 * Advances the cursors that still are where this worker saw them, and returns what their ticks depend on. It skips rows that
 * another worker is deciding right now: should that fail, they are due again a second later. It returns the time even when
 * this worker wins nothing.
 */
const CLAIM_SQL = `
  with clock as materialized (
    select ${LATEST_SQL} as latest
  ), claim as (
    select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[])
      as claim(name, seen, next, cron, "timeZone")
  ), won as (
    select schedule."name", claim.next
    from "JobSchedule" schedule join claim on claim.name = schedule."name"
    where schedule."cursor" = claim.seen and schedule."cron" = claim.cron
      and schedule."timeZone" = claim."timeZone" and claim.next <= (select latest from clock)
    for update of schedule skip locked
  ), advanced as (
    update "JobSchedule" schedule set "cursor" = won.next
    from won where schedule."name" = won."name"
    returning schedule."name", schedule."cursor", schedule."pausedAt"
  )
  select clock.latest, advanced.*, ${isUnfinishedSql('advanced."name"')} as "isUnfinished"
  from clock left join advanced on true`

type LedgerEntry = TickDecision & { name: string; queueJobId: string | null }

/**
 * Writes decisions that the ledger does not have, and returns those. A tick that has a row, because somebody set the cursor
 * back, keeps its outcome and enqueues nothing again.
 */
async function writeLedger(
  tx: Connection,
  workerId: string,
  entries: readonly LedgerEntry[],
): Promise<LedgerEntry[]> {
  const { rows } = await tx.query<Pick<LedgerEntry, 'name' | 'scheduledFor'>>(
    `insert into "JobTick" ("name", "scheduledFor", "outcome", "reason", "queueJobId", "count", "through", "workerId")
     select name, "scheduledFor", outcome::"TickOutcome", reason, "queueJobId", count, through, $8
     from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::timestamptz[])
       as tick(name, "scheduledFor", outcome, reason, "queueJobId", count, through)
     on conflict do nothing
     returning "name", "scheduledFor"`,
    [
      entries.map(({ name }) => name),
      entries.map(({ scheduledFor }) => scheduledFor),
      entries.map(({ outcome }) => outcome),
      entries.map(({ reason }) => reason),
      entries.map(({ queueJobId }) => queueJobId),
      entries.map(({ count }) => count),
      entries.map(({ through }) => through),
      workerId,
    ],
  )
  const key = ({ name, scheduledFor }: Pick<LedgerEntry, 'name' | 'scheduledFor'>) =>
    `${name} ${scheduledFor.getTime()}`
  const written = new Set(rows.map(key))
  return entries.filter((entry) => written.has(key(entry)))
}
