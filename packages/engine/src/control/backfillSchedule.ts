import { v7 as uuid } from 'uuid'
import {
  BACKFILL_REQUEST,
  checkRequest,
  expectSpan,
  refuseFarBackfill,
} from '../arguments/actions.ts'
import { checkTarget } from './checkSchedules.ts'
import type { Connection } from '../database/database.ts'
import { addOpenWork, insertAll, saveRows, toWork, type DecidedJob } from '../tick/decideRows.ts'
import { MAX_COUNTED } from '../tick/dueTicks.ts'
import { toInstant, type StoredSchedule } from '../tick/storedSchedule.ts'
import { nextTicks, previousTicks } from '../tick/nextTicks.ts'
import type { ActionRequest } from './controlJobs.ts'
import { lockKeys, workOf, type Caller } from './lockSchedules.ts'
import { recordActions } from '../queue/recordActions.ts'

export interface BackfillRequest extends ActionRequest {
  /** The first instant that may get work; `to` is the last. Workers still decide ticks that are not decided yet. */
  from: Date
  to: Date
}

export type BackfillOutcome =
  /** `kept`: instants that already have work, or that only an earlier version of the schedule had. */
  { kind: 'backfilled'; enqueued: number; kept: number } | { kind: 'notFound' }

const MAX_BACKFILLED = 10_000

/**
 * Enqueues work for past instants of the schedule that have none: without a row in the ledger, or missed, skipped or coalesced.
 */
export async function backfillKeyed(
  tx: Connection,
  job: DecidedJob,
  key: string,
  request: BackfillRequest,
  { log, onWork }: Caller,
): Promise<BackfillOutcome> {
  const name = checkTarget(job, key)
  const { from, to, by } = checkRequest(request, BACKFILL_REQUEST)
  expectSpan(from, to)
  const [row] = await lockKeys(tx, name, [key])
  if (row === undefined) return { kind: 'notFound' }
  const instants: Date[] = []
  const begin = row.startsAt !== null && row.startsAt > from ? row.startsAt : from
  for (const tick of nextTicks(row, new Date(begin.getTime() - 1))) {
    if (tick > to || tick > row.cursor || (row.endsAt !== null && tick > row.endsAt)) break
    if (instants.length === MAX_BACKFILLED) throw refuseFarBackfill(MAX_BACKFILLED)
    instants.push(tick)
  }
  const [before = null] = previousTicks(row, new Date(begin.getTime() - 1), 1)
  const isFirst = before === null || (row.startsAt !== null && before < row.startsAt)
  const previous = new Map(
    instants.map((at, nth) => [at.getTime(), instants[nth - 1] ?? (isFirst ? null : before)]),
  )
  await divideRanges(tx, name, row, instants)
  const ids = instants.map(() => uuid())
  const { rows: written } = await tx.query<{ workId: string; scheduledFor: Date }>(BACKFILL_SQL, [
    name,
    key,
    JSON.stringify(instants.map((scheduledFor, at) => ({ scheduledFor, workId: ids[at] }))),
    row.version,
    `backfilled by ${by.actor}`,
  ])
  const carried = workOf(job, row, log)
  const works = written
    .map((one) => ({ ...one, scheduledFor: toInstant(one.scheduledFor) }))
    .toSorted((one, other) => one.scheduledFor.getTime() - other.scheduledFor.getTime())
    .map(({ workId: id, scheduledFor }) => {
      const previousAt = previous.get(scheduledFor.getTime())?.toISOString() ?? null
      return toWork(row, { id, ...carried, previousAt, scheduledFor, by })
    })
  const transactionId = await insertAll(tx, works)
  const openWork = addOpenWork(
    row,
    works.map(({ id }) => id),
  )
  await saveRows(tx, [{ ...row, openWork }])
  const change = `${written.length.toLocaleString('en')} ticks from ${from.toISOString()} to ${to.toISOString()}`
  await recordActions(tx, 'backfill', [{ name, scheduleKey: key, change }], by)
  if (transactionId !== null) onWork(name, transactionId)
  return { kind: 'backfilled', enqueued: written.length, kept: instants.length - written.length }
}

interface Range {
  scheduledFor: Date
  through: Date
  outcome: string
  reason: string | null
  workerId: string | null
  createdAt: Date
}

/**
 * Divides ledger rows that stand for many ticks, so that these instants can get separate rows. The remainder of such a row
 * stays before and behind them. Rows of another version, or with uncounted ticks, stay whole.
 */
async function divideRanges(
  tx: Connection,
  name: string,
  { key, version, ...definition }: StoredSchedule,
  instants: readonly Date[],
): Promise<void> {
  const [first, last] = [instants[0], instants.at(-1)]
  if (first === undefined || last === undefined) return
  const { rows: ranges } = await tx.query<Range & { [column: string]: unknown }>(FIND_RANGES_SQL, [
    ...[name, key, version],
    ...[first.toISOString(), last.toISOString(), MAX_COUNTED],
  ])
  if (ranges.length === 0) return
  const parts = ranges.flatMap((range) => {
    const ticks: Date[] = []
    const [begin, end] = [toInstant(range.scheduledFor), toInstant(range.through)]
    for (const tick of nextTicks(definition, new Date(begin.getTime() - 1))) {
      if (tick > end) break
      ticks.push(tick)
    }
    const rest = [ticks.filter((tick) => tick < first), ticks.filter((tick) => tick > last)]
    return rest.flatMap((part) => {
      const [from, through] = [part[0], part.at(-1)]
      if (from === undefined || through === undefined) return []
      const count = part.length
      return [{ ...range, scheduledFor: from, count, through: count > 1 ? through : null }]
    })
  })
  await tx.query(DIVIDE_SQL, [
    ...[name, key, version],
    JSON.stringify(ranges.map(({ scheduledFor }) => scheduledFor)),
    JSON.stringify(parts),
  ])
}

const FIND_RANGES_SQL = `
  select "scheduledFor", "through", "outcome"::text as "outcome", "reason", "workerId", "createdAt" from "JobTick"
  where "name" = $1::text and "key" = $2::text and "version" = $3::int and "scheduledFor" <= $5::timestamptz
    and "through" >= $4::timestamptz and "count" < $6::int`

/** An INSERT cannot reuse a key that the same statement deletes: a part with the same first tick updates the row instead. */
const DIVIDE_SQL = `
  with part as materialized (
    select * from json_to_recordset($5::text::json) as part(
      "scheduledFor" timestamptz, "outcome" text, "reason" text, "count" int, "through" timestamptz, "workerId" text, "createdAt" timestamptz
    )
  ), gone as (
    delete from "JobTick" where "name" = $1::text and "key" = $2::text
      and "scheduledFor" in (select value::timestamptz from json_array_elements_text($4::text::json) as whole(value))
      and "scheduledFor" not in (select "scheduledFor" from part)
    returning "scheduledFor"
  )
  insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "count", "through", "version", "workerId", "createdAt")
  select $1::text, $2::text, "scheduledFor", "outcome"::"TickOutcome", "reason", "count", "through", $3::int, "workerId", "createdAt" from part
  on conflict ("name", "key", "scheduledFor") do update set "count" = excluded."count", "through" = excluded."through"
  returning "scheduledFor", (select count(*) from gone)::int as "gone"`

/** Ticks inside a range that could not be divided are not backfilled. */
const BACKFILL_SQL = `
  insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "version")
  select $1::text, $2::text, given."scheduledFor", 'enqueued', $5::text, given."workId", $4::int
  from json_to_recordset($3::text::json) as given("scheduledFor" timestamptz, "workId" uuid)
  where not exists (
    select from "JobTick" range
    where range."name" = $1::text and range."key" = $2::text and range."scheduledFor" <= given."scheduledFor"
      and range."through" >= given."scheduledFor"
  )
  on conflict ("name", "key", "scheduledFor") do update
  set "outcome" = 'enqueued', "workId" = excluded."workId", "version" = excluded."version", "workerId" = null,
      "reason" = concat_ws(', before: ', excluded."reason", concat_ws(', ', "JobTick"."outcome"::text, "JobTick"."reason"))
  where "JobTick"."outcome" <> 'enqueued'
  returning "workId"::text, "scheduledFor"`
