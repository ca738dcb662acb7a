import { setTimeout as pause } from 'node:timers/promises'
import { labelPayload } from '../job/labelWork.ts'
import { keyOfPayload } from '../job/limits.ts'
import type { Logger } from '../job/logger.ts'
import { v7 as uuid } from 'uuid'
import type { ScheduledJob } from '../job/defineJob.ts'
import type { Connection, Database } from '../store/database.ts'
import { nodeCronClock, type Clock } from './clock.ts'
import type { Observers } from '../run/combineObservers.ts'
import { createNextTick } from './nextTicks.ts'
import { decideTicks, type TickDecision } from './decideTicks.ts'
import { dueTicks, type DueTicks } from './dueTicks.ts'
import { insertWork } from '../store/insertWork.ts'
import { hasSqlState, LOCK_NOT_AVAILABLE } from '../store/sqlState.ts'
import { settlesWithin } from '../store/settlesWithin.ts'
import { gaveSignSql, isAliveSql } from '../liveness/whoIsLost.ts'
import { isUnfinishedSql } from './isUnfinished.ts'
import { holdersSql } from '../store/findLocked.ts'
import { GIVING_WAY } from '../store/giveWay.ts'

export interface Scheduler {
  start(): Promise<void>
  stop(): Promise<void>
  /** Decides all ticks that are due by now. The clock calls it every second; tests call it themselves. */
  wake(): Promise<void>
}

export interface SchedulerOptions {
  jobs: readonly ScheduledJob[]
  database: Database
  workerId: string
  log: Logger
  now: () => Date
  /** Called for each job whose ticks this worker has decided. */
  onTick?: (name: string) => void
  /** Called for each job for which such a tick has enqueued work. */
  onWork?: (name: string) => void
  observers?: Observers | undefined
  clock?: Clock
}

/** How long this worker gives the worker that decided a schedule's last tick to decide the next, before it does so itself. */
const HEAD_START_MS = 50

/** How far a worker's clock may be ahead of the database's. Synchronised clocks differ by milliseconds. */
const MAX_CLOCK_LEAD_MS = 1_000
const LATEST_SQL = `clock_timestamp() + interval '${MAX_CLOCK_LEAD_MS} milliseconds'`

/**
 * After so many wake-ups, a second apart, a worker looks at the rows of its schedules: somebody may have changed or deleted
 * them. It counts wake-ups because its clock may be set back.
 */
const WAKES_PER_LOOK = 60
/** The same for a row with another definition. Whoever wrote it may be gone. */
const WAKES_PER_FOREIGN_LOOK = 10
/** How long parts wait for a lock of which the whole has found that somebody holds it. */
const GIVING_WAY_AT_ONCE = { lockTimeoutMs: 20 }
/** How long stop() tries to tell others that this worker decides no more. */
const FAREWELL_MS = 1_000

/** What a worker knows of a schedule between two queries. */
interface Plan {
  job: ScheduledJob
  /** The cursor as this worker last saw it in the database, whoever had set it; when it starts, its start. */
  cursor: Date
  /** Null when the schedule is never due again, or the row has another definition. */
  nextDue: Date | null
  /** The tick after `nextDue`. */
  following: Date | null
  /** The row has another definition, or there is none: this worker decides none of its ticks, and looks again. */
  isForeign: boolean
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
  const { jobs, database, workerId, log, now, clock = nodeCronClock } = options
  const plans = new Map<string, Plan>()
  const nextTick = createNextTick()
  let ticking: { stop(): void } | null = null
  let isStopped = false
  /** This worker's clock was ahead last time: then it first asks for the database's time, which else only the claim checks. */
  let isAhead = false
  let deciding: Promise<void> | null = null
  let wakes = 0

  async function start(): Promise<void> {
    const cursor = await boundedNow()
    for (const job of jobs) {
      const unknown = { nextDue: null, following: null, isForeign: false }
      plans.set(job.name, { job, cursor, isOurs: true, ...unknown })
    }
    await tell(jobs)
    await refresh([...plans.values()])
    ticking = clock(() => void wake())
    // A worker may be stopped while it starts.
    if (isStopped) ticking.stop()
  }

  async function stop(): Promise<void> {
    isStopped = true
    ticking?.stop()
    await deciding
    // While it drains, others take over what it alone defines.
    await settlesWithin(tell([]), FAREWELL_MS)
  }

  async function wake(): Promise<void> {
    // One at a time: ticks that become due meanwhile are still due when the next second wakes us.
    deciding ??= decideAndLook()
      .catch((error: unknown) =>
        log.error({ err: error }, 'deciding due ticks failed, trying again'),
      )
      .finally(() => (deciding = null))
    await deciding
  }

  /** Looks also after a failure: a row that somebody has changed may be its cause. */
  async function decideAndLook(): Promise<void> {
    try {
      await decideDue()
    } finally {
      await lookAgain()
    }
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
    await pause(HEAD_START_MS)
    await refresh(left)
    await decide(
      left.filter(({ nextDue }) => nextDue !== null && nextDue <= instant),
      instant,
    )
  }

  async function lookAgain(): Promise<void> {
    wakes++
    const looksAtAll = wakes % WAKES_PER_LOOK === 0
    const stale = [...plans.values()].filter(
      ({ isForeign }) => looksAtAll || (isForeign && wakes % WAKES_PER_FOREIGN_LOOK === 0),
    )
    if (looksAtAll) await tell(jobs)
    if (stale.length > 0) await refresh(stale)
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
    for (const plan of due) plan.isOurs = false
    await decideCandidates(candidates, instant)
  }

  /** When somebody holds a schedule, its own ticks stay due, and those of other jobs are decided. */
  async function decideCandidates(
    candidates: readonly Candidate[],
    instant: Date,
    limits = GIVING_WAY,
  ): Promise<void> {
    if (candidates.length === 0) return
    let won: Decided
    try {
      won = await database.transaction((tx) => claimTicks(tx, candidates, instant), limits)
    } catch (error) {
      const halves = halve(candidates, error)
      if (halves.length === 0) {
        const name = candidates[0]?.plan.job.name
        const line = 'somebody holds a lock that ticks of the schedule need: they stay due'
        log.error({ err: error, name }, line)
      }
      for (const half of halves) await decideCandidates(half, instant, GIVING_WAY_AT_ONCE)
      return
    }
    const ticks = Map.groupBy(won.ticks, ({ name }) => name)
    for (const { plan } of candidates) {
      const { name } = plan.job
      const cursor = won.cursors.get(name)
      if (cursor === undefined) continue
      plan.isOurs = true
      advance(plan, cursor)
      const decided = ticks.get(name) ?? []
      options.onTick?.(name)
      if (decided.some(({ workId }) => workId !== null)) options.onWork?.(name)
      options.observers?.ticksDecided(name, decided, won.decidedAt)
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

  /**
   * Our time, but no later than the database's: a worker whose clock is ahead must not decide ticks that are not due yet. And
   * put right by as much as the machine's clock is behind: a schedule must not begin in the past.
   */
  async function boundedNow(): Promise<Date> {
    const { rows } = await database.query<{ latest: Date }>(`select ${LATEST_SQL} as "latest"`)
    const latest = rows[0]?.latest
    const behindMs = Number(latest) - MAX_CLOCK_LEAD_MS - Date.now()
    const isBehind = behindMs > MAX_CLOCK_LEAD_MS
    return bound(new Date(now().getTime() + (isBehind ? behindMs : 0)), latest)
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
      candidates.map(({ plan }) => Math.ceil(plan.job.retry.maxDelayMs / 1_000)),
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
        const workId = decision.outcome === 'enqueued' ? uuid() : null
        entries.push({ ...decision, name, workId })
      }
    }
    if (entries.length === 0) return { cursors, ticks: [], decidedAt }
    const ticks = await writeLedger(tx, workerId, entries)
    await insertWork(
      tx,
      ticks.flatMap(({ name, scheduledFor, workId: id }) => {
        if (id === null) return []
        const at = scheduledFor.toISOString()
        const job = plans.get(name)?.job
        const label = job && labelPayload(job, {}, log)
        const envelope = { payload: {}, trigger: 'schedule', scheduledFor: at, ...label } as const
        return { id, name, envelope, bytes: 2, key: job && keyOfTick(job) }
      }),
    )
    return { cursors, ticks, decidedAt }
  }

  /** A tick is never refused, whatever the key function does. */
  function keyOfTick(job: ScheduledJob): string | undefined {
    try {
      return keyOfPayload(job, {})
    } catch (error) {
      log.warn({ err: error, name: job.name }, 'the work of a tick has no key')
      return ''
    }
  }

  /** Reads the rows, after it has put right those that are missing, of nobody who lives, or impossible. */
  async function refresh(stale: readonly Plan[]): Promise<void> {
    const names = stale.map(({ job }) => job.name)
    let stored = await readSchedules(database, names)
    const differing = stale.filter((plan) => !isOwn(plan, stored))
    if (differing.length > 0) {
      // Somebody may have removed what it said, and who has said nothing may not write.
      await tell(jobs)
      await registerSchedules(database, differing, await boundedNow(), workerId)
      stored = await readSchedules(database, names)
    }
    const strange = [...stored.values()].filter(({ isStrange }) => isStrange)
    if (strange.length > 0) {
      for (const { name, cursor } of strange) {
        const line =
          'the schedule has an impossible cursor: it goes on from its last tick, or from now'
        log.error({ name, cursor: String(cursor) }, line)
      }
      const values = [strange.map(({ name }) => name), await boundedNow()]
      await unlessLocked(database.transaction((tx) => tx.query(MEND_SQL, values), GIVING_WAY))
      stored = await readSchedules(database, names)
    }
    for (const plan of stale) {
      const row = stored.get(plan.job.name)
      if (row === undefined || row.isStrange || !isOwn(plan, stored)) await leave(plan, row)
      else resume(plan, row.cursor)
    }
  }

  function isOwn({ job }: Plan, stored: ReadonlyMap<string, ScheduleRow>): boolean {
    const row = stored.get(job.name)
    return row?.cron === job.schedule.cron && row.timeZone === job.schedule.timeZone
  }

  function resume(plan: Plan, cursor: Date): void {
    const { name } = plan.job
    if (plan.isForeign) log.info({ name }, 'the schedule is as this worker defines it again')
    plan.isForeign = false
    const hasMoved = plan.cursor.getTime() !== cursor.getTime()
    if (hasMoved || plan.nextDue === null) advance(plan, cursor)
  }

  async function leave(plan: Plan, row: ScheduleRow | undefined): Promise<void> {
    const { name } = plan.job
    plan.nextDue = null
    if (row && !row.isStrange && row.cursor > plan.cursor) plan.cursor = row.cursor
    if (plan.isForeign) return
    plan.isForeign = true
    const { rows: heldBy } = await database.query(holdersSql('"JobSchedule"'), [name])
    const line =
      heldBy.length > 0
        ? 'another transaction holds the row of the schedule in JobSchedule: trying again'
        : 'another worker has registered another schedule: it is left to that worker while it lives'
    log.warn({ name, ...(heldBy.length > 0 && { heldBy }) }, line)
  }

  /** Says in JobWorker which schedules this worker would decide. By that others know who may write which row. */
  async function tell(told: readonly ScheduledJob[]): Promise<void> {
    const schedules = told.map(({ name, schedule }) => [name, [schedule.cron, schedule.timeZone]])
    const values = [workerId, JSON.stringify(Object.fromEntries(schedules))]
    await unlessLocked(database.transaction((tx) => tx.query(TELL_SQL, values), GIVING_WAY))
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

/**
 * Nobody has decided a tick of the future, and nothing would tick until then. Before the first of these dates are values such
 * as `-infinity`, which no Date holds, and spans too long to count ticks in.
 */
const IS_STRANGE = `not "cursor" between '1970-01-01Z' and ${LATEST_SQL}`

async function readSchedules(
  database: Database,
  names: readonly string[],
): Promise<Map<string, ScheduleRow>> {
  const { rows } = await database.query<ScheduleRow>(
    `select "name", "cron", "timeZone", "cursor", ${IS_STRANGE} as "isStrange"
     from "JobSchedule" where "name" = any($1)`,
    [names],
  )
  return new Map(rows.map((row) => [row.name, row]))
}

/**
 * A row that somebody else holds stays as it is until the next look.
 * Race: packages/engine/test/tick/scheduler.test.ts "sends no tick again when a cursor was set back"
 */
const MEND_SQL = `
  update "JobSchedule" schedule
  set "cursor" = least($2::timestamptz, (
    select coalesce(tick."through", tick."scheduledFor") from "JobTick" tick
    where tick."name" = schedule."name" order by tick."scheduledFor" desc limit 1
  ))
  where "name" = any(array(
    select "name" from "JobSchedule" where "name" = any($1) and ${IS_STRANGE} for update skip locked
  ))`

/** The rest of what it would do waits for the next look. */
async function unlessLocked(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => halve([], error))
}

/** The halves of what has met a lock of somebody else's; of a single one, none. Throws any other error. */
function halve<Item>(items: readonly Item[], error: unknown): (readonly Item[])[] {
  if (!hasSqlState(error, LOCK_NOT_AVAILABLE)) throw error
  const half = items.length >> 1
  return half === 0 ? [] : [items.slice(0, half), items.slice(half)]
}

const TELL_SQL = `
  update "JobWorker" set "schedules" = $2::jsonb
  where "id" = (
    select "id" from "JobWorker" where "id" = $1 and "schedules" is distinct from $2::jsonb for update skip locked
  )`

/**
 * Stores schedules whose row is missing or another, and records which version changed one, from what to what, and by which
 * variable. Of the workers that define a job and live, or lived a moment ago (after a restart of PostgreSQL not all have
 * connected again), the one that started last decides which definition may be written. Of one that has not told its
 * schedules, only the jobs that it takes are known: it goes first all the same.
 *
 * A changed schedule of a worker that starts begins at that start, and one that a worker takes back begins where the row's
 * cursor was last seen: it owes what was due since. A row that somebody has removed begins where the workers that define it so
 * had come to, whose clocks may be behind: at its last tick, or where the first of them started; at most an hour back, since the
 * ledger may have lost what is older. Rows that others hold are left for the next look, since a transaction of the host's may
 * keep them for as long as it likes.
 * Race: packages/engine/test/tick/owners.test.ts "also where two have started while a transaction held the row"
 */
const REGISTER_SQL = `
  with told as materialized (
    select coalesce("schedules", "lanes") as jobs, "startedAt", "id" from "JobWorker" worker
    where ${gaveSignSql('worker')} or ${isAliveSql('worker."id"')}
  ), mine as materialized (
    select name, cron, "timeZone", least(cursor, ${LATEST_SQL}) as cursor, "setBy"
    from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $7::text[])
      as mine(name, cron, "timeZone", cursor, "setBy")
    where not jsonb_build_array(cron, "timeZone") <> (
      select jobs -> name from told where jobs ? name order by "startedAt" desc, "id" desc limit 1
    ) is true
  ), taken as (
    select schedule."name", schedule."cron", schedule."timeZone"
    from "JobSchedule" schedule join mine on mine.name = schedule."name"
    where (schedule."cron", schedule."timeZone") is distinct from (mine.cron, mine."timeZone")
    for update of schedule skip locked
  ), changed as (
    update "JobSchedule" schedule
    set "cron" = mine.cron, "timeZone" = mine."timeZone", "updatedAt" = $5::timestamptz,
        "cursor" = least(greatest(schedule."cursor", mine.cursor), ${LATEST_SQL})
    from mine join taken on taken."name" = mine.name where schedule."name" = mine.name
  ), recorded as (
    insert into "JobAction" ("action", "name", "actor", "reason")
    select 'reschedule', mine.name, coalesce('version ' || nullif(own."version", ''), $6::text),
           mine.cron || ' in ' || mine."timeZone" || coalesce(' by ' || mine."setBy", '') ||
             ', before: ' || taken."cron" || ' in ' || taken."timeZone"
    from mine join taken on taken."name" = mine.name left join "JobWorker" own on own."id" = $6::text
  )
  insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt")
  select name, cron, "timeZone", least(cursor, (
    select greatest(min(told."startedAt"), mine.cursor - interval '1 hour', (
      select coalesce(tick."through", tick."scheduledFor") from "JobTick" tick
      where tick."name" = mine.name order by tick."scheduledFor" desc limit 1
    )) from told where jobs -> mine.name = jsonb_build_array(mine.cron, mine."timeZone") having count(*) > 0
  )), $5::timestamptz from mine
  where not exists (select from "JobSchedule" schedule where schedule."name" = mine.name)
  order by name on conflict do nothing`

async function registerSchedules(
  database: Database,
  plans: readonly Plan[],
  now: Date,
  workerId: string,
  limits = GIVING_WAY,
): Promise<void> {
  const values = [
    plans.map(({ job }) => job.name),
    plans.map(({ job }) => job.schedule.cron),
    plans.map(({ job }) => job.schedule.timeZone),
    plans.map(({ cursor }) => cursor),
    now,
    workerId,
    plans.map(({ job }) => job.schedule.setBy ?? null),
  ]
  try {
    await database.transaction((tx) => tx.query(REGISTER_SQL, values), limits)
  } catch (error) {
    // Somebody has inserted one of the rows, and not committed yet.
    for (const half of halve(plans, error))
      await registerSchedules(database, half, now, workerId, GIVING_WAY_AT_ONCE)
  }
}

/**
 * Advances the cursors that still are where this worker saw them, and returns what their ticks depend on. It skips rows that
 * another worker is deciding right now: should that fail, they are due again a second later. It returns the time even when
 * this worker wins nothing.
 * Race: packages/engine/test/tick/scheduler.test.ts "several workers decide the same tick once"
 */
const CLAIM_SQL = `
  with clock as materialized (
    select ${LATEST_SQL} as latest
  ), claim as (
    select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::text[], $6::float8[])
      as claim(name, seen, next, cron, "timeZone", "pauseS")
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
  select clock.latest, advanced.*, ${isUnfinishedSql('advanced."name"', 'claim."pauseS"')} as "isUnfinished"
  from clock left join advanced on true left join claim on claim.name = advanced."name"`

type LedgerEntry = TickDecision & { name: string; workId: string | null }

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
    `insert into "JobTick" ("name", "scheduledFor", "outcome", "reason", "workId", "count", "through", "workerId")
     select name, "scheduledFor", outcome::"TickOutcome", reason, "workId", count, through, $8
     from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::uuid[], $6::int[], $7::timestamptz[])
       as tick(name, "scheduledFor", outcome, reason, "workId", count, through)
     on conflict do nothing
     returning "name", "scheduledFor"`,
    [
      entries.map(({ name }) => name),
      entries.map(({ scheduledFor }) => scheduledFor),
      entries.map(({ outcome }) => outcome),
      entries.map(({ reason }) => reason),
      entries.map(({ workId }) => workId),
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
