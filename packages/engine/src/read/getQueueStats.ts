import { checkTexts } from '../values/argument.ts'
import { checkNames } from '../arguments/queries.ts'
import { RUNS_UNDER_WAY } from '../queue/heldRuns.ts'
import { IN_PLACE, LATER, READY, SUSPECT } from '../queue/waitingSql.ts'
import { withOtherJobs } from './readQueues.ts'
import type { JobsReader } from './reader.ts'
import { DELAYED, DUE_PARTS } from './workOfJobs.ts'

/** Instants are ISO 8601 in UTC. */
export interface QueueCounts {
  name: string
  /** Work that no worker has taken, or that waits for a retry. Due work is counted up to MAX_MEASURED, and so is the rest. */
  waiting: number
  /** The part of `waiting` that is not due yet: delayed, or waiting for a later retry. */
  delayed: number
  active: number
  /** Whether there is more waiting work than was counted. */
  isWaitingCut: boolean
  /** Counted up to MAX_MEASURED. */
  deadLetters: number
  areDeadLettersCut: boolean
  /** The instant since which the longest waiting piece has been due. */
  oldestWaitingAt: string | null
  /** The instant at which the oldest dead letter was given up. */
  oldestDeadLetterAt: string | null
}

/** Counting stops here, so that a backlog of millions costs no more. */
export const MAX_MEASURED = 100_000
/** Maximum of priorities that are searched for the oldest work, the highest first. */
const MAX_RANKS = 100

/** Counts work of the job with this name in these parts, up to `most` in all. */
export function countWork(name: string, parts: readonly string[], most: string | number): string {
  const each = parts.map(
    (part) =>
      `(select 1 from "JobWork" work where work."name" = ${name} and ${part} limit ${most})`,
  )
  return `(
    select count(*)::int as count from (
      select from (${each.join(' union all ')}) work limit ${most}
    ) one
  )`
}

/**
 * Since when the job's oldest work has been due. For each priority it reads only the first piece in the order of claims, which
 * is the oldest or nearly so.
 */
export const oldestDue = (name: string) => {
  const first = (part: string, order: string) => `
    select work."rank", work."dueAt" from "JobWork" work where work."name" = ${name} and ${part} order by ${order} limit 1`
  return `(
    with recursive head as (
      (${first(READY, IN_PLACE)})
      union all
      select next.* from head cross join lateral (${first(`${READY} and work."rank" > head."rank"`, IN_PLACE)}) next
    )
    select min("dueAt") from (
      (select "dueAt" from head limit ${MAX_RANKS})
      union all (select "dueAt" from (${first(SUSPECT, 'work."place"')}) suspect)
      union all (select "dueAt" from (${first(`${LATER} and work."dueAt" <= now()`, 'work."dueAt"')}) due)
    ) first
  )`
}

/** A row for each name of `$1`. It counts due work, other waiting work and dead letters, each up to `most`. */
export const measureQueueSql = (most: number) => `
  with active as materialized (
    select run."name", count(*)::int as count, min(run."createdAt") as oldest
    from ${RUNS_UNDER_WAY} where run."name" = any($1::text[]) group by 1
  )
  select n.name, now() as "now", ${countWork('n.name', DUE_PARTS, most)} as "ready", ${oldestDue('n.name')} as "oldestReadyAt",
         ${countWork('n.name', [DELAYED], most)} as "delayed", coalesce(active.count, 0) as "active",
         active.oldest as "oldestActiveAt", dead.count as "deadLetters", (
           select letter."failedAt" from "JobDeadLetter" letter where letter."name" = n.name
           order by letter."failedAt", letter."id" limit 1
         ) as "oldestDeadLetterAt"
  from unnest($1::text[]) with ordinality n(name, place)
    left join active on active."name" = n.name
    cross join lateral (
      select count(*)::int as count from (
        select from "JobDeadLetter" letter where letter."name" = n.name
          and letter."failedAt" >= (select '-infinity'::timestamptz) and letter."failedAt" <= (select 'infinity'::timestamptz)
        limit ${most}
      ) one
    ) dead
  order by n.place`

/** One more, which shows that there are more. */
const MEASURE_SQL = measureQueueSql(MAX_MEASURED + 1)

interface Measured {
  name: string
  now: string
  ready: number
  oldestReadyAt: string | null
  delayed: number
  active: number
  oldestActiveAt: string | null
  deadLetters: number
  oldestDeadLetterAt: string | null
}

async function measure(reader: JobsReader, names: readonly string[]) {
  const rows = await reader.rows<Measured>({ text: MEASURE_SQL, values: [names] })
  const most = (count: number) => Math.min(count, MAX_MEASURED)
  return rows.map((row) => ({
    ...row,
    ready: most(row.ready),
    delayed: most(row.delayed),
    deadLetters: most(row.deadLetters),
    isWaitingCut: Math.max(row.ready, row.delayed) > MAX_MEASURED,
    areDeadLettersCut: row.deadLetters > MAX_MEASURED,
  }))
}

/** Counts the work of each job. It does not read completed work. */
export async function countQueue(
  reader: JobsReader,
  names: readonly string[],
): Promise<QueueCounts[]> {
  const rows = await measure(reader, checkTexts('names', names))
  return rows.map(({ name, ready, delayed, active, deadLetters, ...more }) => ({
    name,
    waiting: ready + delayed,
    delayed,
    isWaitingCut: more.isWaitingCut,
    active,
    deadLetters,
    areDeadLettersCut: more.areDeadLettersCut,
    oldestWaitingAt: more.oldestReadyAt,
    oldestDeadLetterAt: more.oldestDeadLetterAt,
  }))
}

export type QueueState = (typeof QUEUE_STATES)[number]
export const QUEUE_STATES = ['ready', 'delayed', 'active', 'deadLetter'] as const

/** The amount of a job's work in one state. */
export interface QueueStats {
  name: string
  /** `ready`, `delayed`, `active` or `deadLetter`. */
  state: QueueState
  /** Exact up to 100,000, which also stands for more. */
  count: number
  /**
   * Seconds that the oldest has been in that state: since it was due, taken, or given up. Null if there is none, and for
   * delayed work.
   */
  oldestSeconds: number | null
}

/**
 * Measures the queue for metrics: a row for each of these jobs and each state, even with a count of 0; also for other jobs with
 * rows in the queue. Two bounded statements, on indexes.
 */
export async function getQueueStats(
  reader: JobsReader,
  names: readonly string[],
): Promise<QueueStats[]> {
  const rows = await measure(reader, await withOtherJobs(reader, checkNames(reader, names)))
  return rows.flatMap(({ name, now, ready, delayed, active, deadLetters, ...oldest }) => {
    const seconds = (at: string | null) =>
      at === null ? null : (Date.parse(now) - Date.parse(at)) / 1_000
    return [
      { name, state: 'ready', count: ready, oldestSeconds: seconds(oldest.oldestReadyAt) },
      { name, state: 'delayed', count: delayed, oldestSeconds: null },
      { name, state: 'active', count: active, oldestSeconds: seconds(oldest.oldestActiveAt) },
      {
        name,
        state: 'deadLetter',
        count: deadLetters,
        oldestSeconds: seconds(oldest.oldestDeadLetterAt),
      },
    ] as const
  })
}
