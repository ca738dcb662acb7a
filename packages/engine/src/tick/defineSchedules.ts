import { recordActions } from '../queue/recordActions.ts'
import { ticksOfDay } from './scheduleLoad.ts'
import type { Job } from '../job/defineJob.ts'
import type { Logger } from '../job/logger.ts'
import { isAliveSql } from '../database/workerLock.ts'
import type { Connection } from '../database/database.ts'
import { decideRows } from './decideRows.ts'
import { createNextTick } from './nextTicks.ts'
import {
  BY_INSTANT,
  BY_OFTEN,
  nextOf,
  OWN_TZDATA,
  storedColumns,
  tellDefinition,
  withInstants,
  type ScheduleDefinition,
  type StoredSchedule,
} from './storedSchedule.ts'

/*
 * The definitions of jobs become rows of JobSchedule with the key ''. All workers decide ticks by the row, even if their own
 * definition differs. Only one worker writes the row. Among the living workers that know the job, it has the version that first
 * appeared last. A worker with a version goes before those without. Among several of one version, or without one, it is the
 * last to sign up.
 */

/** The state of the schedules of a worker's jobs, which `ticksSql` reads. */
export interface TicksSeen {
  /** The jobs with due ticks. */
  due: string[]
  /** Time until the next tick, at most an hour. */
  nextInMs: number
  /** The jobs whose row differs from this worker's definition. */
  changed: string[]
}

const NO_SCHEDULE = { cron: null, timeZone: null, missed: null, overlap: null, catchUpMs: null }

export function toDefinitions(jobs: readonly Job[]): string {
  return JSON.stringify(
    jobs.map(({ name, schedule }) => {
      const { cron, timeZone, missed, overlap, catchUpMs } = schedule ?? NO_SCHEDULE
      return { name, cron, timeZone, missed, overlap, catchUpMs }
    }),
  )
}

const mineFrom = (definitions: string) => `json_to_recordset(${definitions}::text::json) as mine(
    "name" text, "cron" text, "timeZone" text, "missed" text, "overlap" text, "catchUpMs" bigint
  )`

/** The maximum by which the database's clock may have been set back since the last decided tick. */
const MAX_LEAD_MS = 60_000

/**
 * Whether the row `schedule`, which may be missing, must be written. A retired row has no due instant. An instant that a person
 * has written may be out of range.
 */
const IS_CHANGED = `case
    when mine."cron" is null then schedule."retiredAt" is null and schedule."name" is not null
    else (schedule."cron", schedule."timeZone", schedule."missed", schedule."overlap", schedule."catchUpMs")
        is distinct from (mine."cron", mine."timeZone", mine."missed", mine."overlap", mine."catchUpMs")
      or least(schedule."cursor", schedule."nextAt", schedule."dueAt") < '1970-01-01Z'
      or greatest(schedule."nextAt", schedule."dueAt") > '9999-01-01Z' or schedule."dueAt" is null
      or schedule."cursor" > now() + interval '${MAX_LEAD_MS} milliseconds'
  end`

/** Reads one index entry for each job. */
const earliest = ({ is, at }: typeof BY_OFTEN) =>
  `(select ${at} from "JobSchedule" schedule where schedule."name" = mine."name" and ${is} order by ${at} limit 1)`

/** Returns TicksSeen as JSON. `definitions` is a parameter with JSON by toDefinitions(). */
export const ticksSql = (definitions: string) => `(
    select jsonb_build_object(
      'due', coalesce(jsonb_agg("name") filter (where "dueAt" <= now()), '[]'),
      'changed', coalesce(jsonb_agg("name") filter (where "isChanged"), '[]'),
      -- A tick may become due while this statement runs.
      'nextInMs', greatest(0, extract(epoch from
        least(min("dueAt") filter (where "dueAt" > now()), clock_timestamp() + interval '1 hour') - clock_timestamp()) * 1000)
    ) from (
      select mine."name", least(${earliest(BY_INSTANT)}, ${earliest(BY_OFTEN)}) as "dueAt",
             ${IS_CHANGED} as "isChanged"
      from ${mineFrom(definitions)}
      left join "JobSchedule" schedule on schedule."name" = mine."name" and schedule."key" = ''
      -- Otherwise PostgreSQL reads the indexes at each mention of "dueAt".
      offset 0
    ) one
  )`

/** Which worker defines the schedule of each of the jobs in `names`, as rows of name, id and version. */
export const definersSql = (names: string, workerId: string) => `
  with living as materialized (
    select worker."id", worker."version", worker."startedAt", worker."jobs", (
      select min(same."startedAt") from (
        (select "startedAt" from "JobWorker" one where one."version" = worker."version" order by "startedAt" limit 1)
        union all
        (select "startedAt" from "JobFormerWorker" one where one."version" = worker."version" order by "startedAt" limit 1)
      ) same
    ) as "appearedAt"
    from "JobWorker" worker
    where worker."jobs" && ${names} and (worker."id" = ${workerId} or ${isAliveSql('worker."id"')})
  )
  select distinct on (job.name) job.name as "name", living."id", living."version"
  from unnest(${names}) job(name) join living on job.name = any(living."jobs")
  order by job.name, living."appearedAt" desc nulls last, living."startedAt" desc, living."id" desc`

const DEFINERS_SQL = `
  select definer."name", definer."id" = $2::text as "isMine",
         definer."version" is not distinct from (select "version" from "JobWorker" where "id" = $2::text) as "isOwnVersion",
         definer."version",
         exists (select from "JobSchedule" schedule where schedule."name" = definer."name" and schedule."key" = '') as "hasRow"
  from (${definersSql('$1::text[]', '$2::text')}) definer`

interface Definer {
  [column: string]: unknown
  name: string
  isMine: boolean
  isOwnVersion: boolean
  version: string | null
  hasRow: boolean
}

export async function readDefiners(
  connection: Connection,
  names: readonly string[],
  workerId: string,
): Promise<Map<string, Definer>> {
  const { rows } = await connection.query<Definer>(DEFINERS_SQL, [names, workerId])
  return new Map(rows.map((row) => [row.name, row]))
}

/**
 * Writes those schedules of these jobs that differ from this worker's definitions, if this worker defines them. It first decides what is
 * due by the old definition. It skips locked rows, which the next round tries again. New and returning schedules have ticks from now on.
 * Returns the jobs for which it has enqueued work.
 */
export async function defineSchedules(
  tx: Connection,
  jobs: readonly Job[],
  {
    workerId,
    log,
    tzdata = OWN_TZDATA,
  }: { workerId: string; log: Pick<Logger, 'warn' | 'error'>; tzdata?: string },
): Promise<string[]> {
  const names = jobs.map(({ name }) => name)
  const { rows: locked } = await tx.query<StoredSchedule>(LOCK_CHANGED_SQL, [toDefinitions(jobs)])
  const definers = await readDefiners(tx, names, workerId)
  const isMine = (name: string) => definers.get(name)?.isMine === true
  const rowOf = new Map(
    locked.filter(({ name }) => isMine(name)).map((row) => [row.name, withInstants(row)]),
  )
  const mine = jobs.filter(
    ({ name, schedule }) =>
      rowOf.has(name) ||
      (isMine(name) && schedule !== null && definers.get(name)?.hasRow === false),
  )
  if (mine.length === 0) return []
  const jobOf = (name: string) => jobs.find((job) => job.name === name) as Job
  const how = { jobOf, workerId: null, isLatest: async () => false, log, tzdata }
  const { rows: decided, ticks } = await decideRows(tx, [...rowOf.values()], how)
  const decidedOf = new Map(decided.map((row) => [row.name, row]))
  const now = (await tx.query<{ now: Date }>('select now() as "now"')).rows[0]?.now as Date
  const find = createNextTick()
  const written = mine.map(({ name, schedule }) => {
    const row = decidedOf.get(name)
    const version = row?.version ?? 0
    const { cron, timeZone, missed, overlap, catchUpMs } = schedule ?? (row as StoredSchedule)
    const definition = { cron, timeZone, missed, overlap, catchUpMs }
    const none = { nextAt: null, perDay: 1, retiredAt: now }
    if (schedule === null) return { name, version, ...definition, cursor: now, tzdata, ...none }
    const isKept =
      row?.cron === cron &&
      row.timeZone === timeZone &&
      row.retiredAt === null &&
      isWithin(row.cursor, now.getTime() + MAX_LEAD_MS)
    const cursor = isKept ? row.cursor : now
    const known = isKept && row.nextAt && isWithin(row.nextAt, LATEST_MS) ? row : null
    const nextAt = known?.nextAt ?? nextOf({ ...NO_SPAN, ...schedule }, cursor, find)
    const next = { nextAt, tzdata: known?.tzdata ?? tzdata, perDay: ticksOfDay(cron) }
    return { name, version, ...definition, cursor, ...next, retiredAt: null }
  })
  await tx.query(WRITE_SQL, [JSON.stringify(written)])
  for (const { name, schedule } of mine) {
    const before = rowOf.get(name)
    if (before === undefined) continue
    const change = tellChange(schedule, before)
    const { version } = definers.get(name) as Definer
    const actor = version === null || version === '' ? workerId : `version ${version}`
    await recordActions(tx, 'reschedule', [{ name, change }], { actor })
  }
  return ticks.flatMap(({ name, workId }) => (workId === null ? [] : [name]))
}

const NO_SPAN = { startsAt: null, endsAt: null, jitterMs: 0 }

/** Describes a change by both expressions, or by both whole definitions if the expressions are equal. */
function tellChange(schedule: Job['schedule'], before: StoredSchedule): string {
  const isSame = schedule?.cron === before.cron && schedule.timeZone === before.timeZone
  const tell = (one: Omit<ScheduleDefinition, keyof typeof NO_SPAN>) =>
    isSame ? tellDefinition({ ...NO_SPAN, ...one }) : `${one.cron} in ${one.timeZone}`
  const by = schedule?.setBy === undefined ? '' : ` by ${schedule.setBy}`
  const after = schedule === null ? 'none' : `${tell(schedule)}${by}`
  return `${after}, before: ${before.retiredAt === null ? tell(before) : 'none'}`
}

/** An instant that a person has written may be out of range. */
const isWithin = (at: Date, latestMs: number) => at.getTime() >= 0 && at.getTime() <= latestMs
const LATEST_MS = Date.UTC(9999, 0, 1)

const LOCK_CHANGED_SQL = `
  select ${storedColumns('now()')}
  from ${mineFrom('$1')} join "JobSchedule" schedule on schedule."name" = mine."name" and schedule."key" = ''
  where ${IS_CHANGED} for update of schedule skip locked`

/** Keeps a row that another worker has inserted in the meantime: that worker determined the defining worker later. */
const WRITE_SQL = `
  insert into "JobSchedule" ("name", "version", "cron", "timeZone", "missed", "overlap", "catchUpMs", "perDay", "payload", "bytes",
    "cursor", "nextAt", "dueAt", "tzdata", "retiredAt")
  select "name", "version" + 1, "cron", "timeZone", "missed", "overlap", "catchUpMs", "perDay", '{}', 2,
    "cursor", "nextAt", "nextAt", "tzdata", "retiredAt"
  from json_to_recordset($1::text::json) as mine(
    "name" text, "version" int, "cron" text, "timeZone" text, "missed" text, "overlap" text, "catchUpMs" bigint, "perDay" int,
    "cursor" timestamptz, "nextAt" timestamptz, "tzdata" text, "retiredAt" timestamptz
  ) order by "name"
  on conflict ("name", "key") do update set "version" = excluded."version", "cron" = excluded."cron", "timeZone" = excluded."timeZone",
    "missed" = excluded."missed", "overlap" = excluded."overlap", "catchUpMs" = excluded."catchUpMs", "perDay" = excluded."perDay",
    "cursor" = excluded."cursor", "nextAt" = excluded."nextAt", "dueAt" = excluded."dueAt", "tzdata" = excluded."tzdata",
    "retiredAt" = excluded."retiredAt", "updatedAt" = clock_timestamp()
  where "JobSchedule"."version" = excluded."version" - 1`
