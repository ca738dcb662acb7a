import { isDeepStrictEqual } from 'node:util'
import { checkJobName } from '../values/argument.ts'
import type { Job } from '../job/defineJob.ts'
import type { Connection } from '../database/database.ts'
import { readPayload } from '../tick/decideRows.ts'
import {
  dueOf,
  MAX_REFUSALS,
  nextOf,
  OWN_TZDATA,
  tellDefinition,
  type StoredSchedule,
} from '../tick/storedSchedule.ts'
import { createNextTick } from '../tick/nextTicks.ts'
import { checkSchedules, type Wanted } from './checkSchedules.ts'
import { changedError, decideFirst, LAST_GONE, lockKeys, type Caller } from './lockSchedules.ts'
import { recordActions, type Actor } from '../queue/recordActions.ts'
import type { LoadLimit } from '../tick/scheduleLoad.ts'

export interface UpsertedSchedule {
  kind: 'created' | 'changed' | 'unchanged'
  /**
   * Increases by one with each change. A new schedule starts at 1, or above the version of every deleted schedule, so that a
   * version is never reused.
   */
  version: number
  /** The instant of its next tick. Null if there is none. */
  nextAt: Date | null
}

/**
 * Creates or changes these schedules in the caller's transaction. Rows are locked in the order of their keys. If the ticks of a
 * schedule change, its due ticks are decided first, by the old definition.
 */
export async function upsertSchedules(
  tx: Connection,
  job: Job,
  schedules: readonly unknown[],
  { limit, ...caller }: Caller & { limit: LoadLimit },
  path?: (at: number) => string,
): Promise<UpsertedSchedule[]> {
  const name = checkJobName('job', job)
  const wanted = checkSchedules(job, schedules, path)
  const byKey = new Map(wanted.map((one) => [one.key, one]))
  if (wanted.length === 0) return []
  await tx.query(INSERT_SQL, [name, JSON.stringify(wanted.map(toJson))])
  const rows = await lockKeys(tx, name, [...byKey.keys()])
  await checkVersions(tx, name, rows, byKey)
  for (const row of rows) {
    const one = byKey.get(row.key) as Wanted
    if (one.keepsPayload)
      byKey.set(row.key, { ...one, payload: readPayload(row), bytes: row.bytes })
  }
  const changed = rows.filter(
    (row) => row.version === 0 || differs(row, byKey.get(row.key) as Wanted),
  )
  const created = changed.filter(({ version }) => version === 0)
  const tooMany = await limit.add(tx, { entries: created.length, perDay: addedPerDay() })
  if (tooMany !== null) {
    await removeUnmade(tx, name, byKey)
    throw tooMany
  }
  const moved = changed.filter(
    (row) => row.version > 0 && differsInTicks(row, byKey.get(row.key) as Wanted),
  )
  const decided = await decideFirst(tx, job, moved, caller)
  const gone = created.length > 0 ? await readLastGone(tx) : 0
  const find = createNextTick()
  const results = new Map<string, UpsertedSchedule>(
    rows.map(({ key, version, nextAt }) => [key, { kind: 'unchanged', version, nextAt }]),
  )
  const saved = changed.map((old) => {
    const one = byKey.get(old.key) as Wanted
    const row = decided.get(old.key) ?? old
    const isMoved = old.version === 0 || decided.has(old.key)
    // It has ticks from now on, even if the ledger reaches further.
    const isAhead = row.cursor >= row.now && row.cursor.getUTCFullYear() <= 9_999
    const cursor = isMoved && !isAhead ? row.now : row.cursor
    const nextAt = isMoved ? nextOf(one, cursor, find) : row.nextAt
    const version = (old.version === 0 ? gone : row.version) + 1
    results.set(old.key, { kind: old.version === 0 ? 'created' : 'changed', version, nextAt })
    const isLifted = row.refusals > 0 && !hasPayload(row, one)
    return {
      ...toJson(one),
      ...{ version, cursor, nextAt, dueAt: dueOf(nextAt, one.delayMs) },
      tzdata: isMoved ? OWN_TZDATA : row.tzdata,
      isLifted,
    }
  })
  if (saved.length > 0) await tx.query(CHANGE_SQL, [name, JSON.stringify(saved)])
  const groups = Map.groupBy(changed, ({ key }) => JSON.stringify(byKey.get(key)?.by))
  for (const group of groups.values()) {
    const targets = group.map((old) => ({
      name,
      scheduleKey: old.key,
      change: `${tellDefinition(byKey.get(old.key) as Wanted)}, before: ${old.version === 0 ? 'none' : tellDefinition(old)}`,
    }))
    await recordActions(tx, 'reschedule', targets, byKey.get(group[0]?.key ?? '')?.by as Actor)
  }
  return wanted.map(({ key }) => results.get(key) as UpsertedSchedule)

  function addedPerDay(): number {
    const was = ({ version, perDay }: StoredSchedule) => (version === 0 ? 0 : perDay)
    return changed.reduce((sum, row) => sum + (byKey.get(row.key)?.perDay ?? 0) - was(row), 0)
  }
}

async function checkVersions(
  tx: Connection,
  name: string,
  rows: readonly StoredSchedule[],
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  const other = rows.find(({ key, version }) => {
    const { ifVersion } = wanted.get(key) as Wanted
    return ifVersion !== undefined && ifVersion !== version
  })
  if (other === undefined) return
  await removeUnmade(tx, name, wanted)
  throw changedError(name, other, wanted.get(other.key)?.ifVersion ?? 0)
}

/** A row without a version belongs to this call, which is refused: the caller may continue the transaction. */
async function removeUnmade(
  tx: Connection,
  name: string,
  wanted: ReadonlyMap<string, Wanted>,
): Promise<void> {
  await tx.query(
    `delete from "JobSchedule" where "name" = $1::text and "key" = any($2::text[]) and "version" = 0 returning "key"`,
    [name, [...wanted.keys()]],
  )
}

/** Read after the rows are locked: any transaction that deleted one of these keys has committed then. */
async function readLastGone(tx: Connection): Promise<number> {
  const { rows } = await tx.query<{ gone: number }>(
    `select coalesce(${LAST_GONE}, 0)::int as "gone"`,
  )
  return rows[0]?.gone ?? 0
}

function hasPayload(row: StoredSchedule, { payload, bytes }: Wanted): boolean {
  return (row.bytes === 0) === (bytes === 0) && isDeepStrictEqual(readPayload(row), payload)
}

function differs(row: StoredSchedule, one: Wanted): boolean {
  if (differsInTicks(row, one) || !hasPayload(row, one)) return true
  return (['missed', 'catchUpMs', 'overlap', 'jitterMs'] as const).some(
    (part) => row[part] !== one[part],
  )
}

/** Whether it has other instants. */
function differsInTicks(row: StoredSchedule, one: Wanted): boolean {
  return (
    row.cron !== one.cron ||
    row.timeZone !== one.timeZone ||
    row.startsAt?.getTime() !== one.startsAt?.getTime() ||
    row.endsAt?.getTime() !== one.endsAt?.getTime()
  )
}

function toJson({
  ifVersion: _ifVersion,
  keepsPayload: _keepsPayload,
  by: _by,
  ...one
}: Wanted): object {
  return one
}

const DEFINED = `"key" text, "cron" text, "timeZone" text, "missed" text, "catchUpMs" bigint, "overlap" text, "jitterMs" bigint,
    "startsAt" timestamptz, "endsAt" timestamptz, "payload" jsonb, "bytes" int, "delayMs" bigint, "perDay" int`
/** JSON's null arrives as no value, like undefined. */
const PAYLOAD = `case when given."bytes" > 0 then coalesce(given."payload", 'null') end`

/**
 * New rows have no version and no due instant until this call has completed them. The statement waits for a key of an
 * uncommitted transaction, and locks existing ones, all in the order of the keys.
 */
const INSERT_SQL = `
  insert into "JobSchedule" ("name", "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "startsAt", "endsAt",
    "payload", "bytes", "delayMs", "cursor", "tzdata")
  select $1::text, "key", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "startsAt", "endsAt",
    ${PAYLOAD}, "bytes", "delayMs", clock_timestamp(), ''
  from json_to_recordset($2::text::json) as given(${DEFINED})
  order by "key" collate "C"
  on conflict ("name", "key") do update set "version" = 0 where false returning "key"`

/** The engine's own pause ends when its cause is gone. */
const unlessLifted = (column: string) =>
  `case when given."isLifted" and "refusals" >= ${MAX_REFUSALS} then null else "${column}" end`

const CHANGE_SQL = `
  update "JobSchedule" schedule
  set "version" = given."version", "cron" = given."cron", "timeZone" = given."timeZone", "missed" = given."missed",
      "catchUpMs" = given."catchUpMs", "overlap" = given."overlap", "jitterMs" = given."jitterMs", "delayMs" = given."delayMs", "perDay" = given."perDay",
      "startsAt" = given."startsAt", "endsAt" = given."endsAt", "payload" = ${PAYLOAD}, "bytes" = given."bytes",
      "cursor" = given."cursor", "nextAt" = given."nextAt", "dueAt" = given."dueAt", "tzdata" = given."tzdata",
      "refusals" = case when given."isLifted" then 0 else "refusals" end,
      "pausedAt" = ${unlessLifted('pausedAt')}, "pausedBy" = ${unlessLifted('pausedBy')}, "pauseReason" = ${unlessLifted('pauseReason')},
      "updatedAt" = clock_timestamp()
  from json_to_recordset($2::text::json) as given(
    ${DEFINED}, "version" int, "cursor" timestamptz, "nextAt" timestamptz, "dueAt" timestamptz, "tzdata" text, "isLifted" boolean
  )
  where schedule."name" = $1::text and schedule."key" = given."key" returning schedule."key"`
