import {
  checkKeySettings,
  checkLimitSettings,
  checkRequest,
  refusePerKey,
} from '../arguments/actions.ts'
import type { Job } from '../job/defineJob.ts'
import { ownLimitOf, type SharedLimit } from '../job/limits.ts'
import type { Connection } from '../store/database.ts'
import { PLACE_SQL } from '../store/place.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'
import { recordActions } from './recordActions.ts'

/** Of which limit: that of a job itself, or one that jobs share. */
export type WhichLimit = { job: Pick<Job, 'name'> } | { limit: Pick<SharedLimit, 'name'> }

/** What is left out stays as it is. */
export interface LimitSettings {
  /** Runs at once over all workers, instead of what the code says, until somebody sets it to null. */
  global?: number | null
  /** false ends the wait after a RateLimited: one run tries first. */
  parked?: false
}

/** What is left out stays as it is. */
export interface KeySettings {
  /** Runs of this key at once; null: as many as the job says. */
  perKey?: number | null
  /** How much this key gets beside one with the weight 1, from 0.01 to 1,000; null: 1. */
  weight?: number | null
  /** true: none of its work starts until somebody says false; a Date: none starts before then. */
  paused?: boolean | Date
  /** false ends the wait after a RateLimited: one run tries first. */
  parked?: false
}

/**
 * Sets how many runs a limit lets go on at once, and tells `onChange` of it as it stands in JobLimit. Lowered below what runs, it
 * lets nothing start until enough have ended.
 */
export async function setLimit(
  tx: Connection,
  which: WhichLimit,
  settings: LimitSettings,
  request: ActionRequest,
  onChange: OnCommit,
): Promise<'set' | 'unchanged' | 'notFound'> {
  const { job, limit, global, parked: lifts } = checkLimitSettings(which, settings)
  const { by } = checkRequest(request)
  const { actor, reason = null } = by
  const name = job === undefined ? (limit as string) : ownLimitOf(job)
  // What a job's code says nothing of, people may set all the same.
  if (job !== undefined && typeof global === 'number')
    await tx.query('insert into "JobLimit" ("name") values ($1) on conflict do nothing', [name])
  const row = await lockLimit(tx, name)
  const isOfJob = row?.jobs === null
  if (row === null || isOfJob !== (job !== undefined)) return 'notFound'
  const changes: string[] = []
  if (global !== undefined && global !== row.setGlobal) {
    await tx.query(SET_LIMIT_SQL, [name, global, actor, reason])
    const tell = (value: number | null) => (value === null ? 'as the code says' : String(value))
    changes.push(`at once ${tell(global)}, before: ${tell(row.setGlobal)}`)
  }
  if (lifts && (await liftPark(tx, name, ''))) changes.push(LIFTED)
  if (changes.length === 0) return 'unchanged'
  const jobs = job === undefined ? (row.jobs ?? []) : [job]
  const change = `${job === undefined ? `${name}: ` : ''}${changes.join(', ')}`
  const targets = jobs.map((one) => ({ name: one, change }))
  await recordActions(tx, 'setLimit', targets, by)
  onChange(name, await currentTransaction(tx))
  return 'set'
}

const SET_LIMIT_SQL = `
  update "JobLimit" set "setGlobal" = $2::int, "setBy" = case when $2::int is not null then $3 end,
    "setReason" = case when $2::int is not null then $4 end, "setAt" = case when $2::int is not null then now() end,
    "changedPlace" = ${PLACE_SQL}
  where "name" = $1 returning "name"`

const LIFTED = 'parked no longer'

/** Returns whether it was parked. As after the instant that the service has named, one run tries before others start. */
async function liftPark(tx: Connection, name: string, key: string): Promise<boolean> {
  const { rows } = await tx.query(
    `update "JobPark" set "until" = clock_timestamp() where "name" = $1 and "key" = $2 and "until" > clock_timestamp() returning "name"`,
    [name, key],
  )
  return rows.length > 0
}

async function currentTransaction(tx: Connection): Promise<string> {
  const { rows } = await tx.query<{ id: string }>('select pg_current_xact_id()::text as "id"')
  return (rows[0] as { id: string }).id
}

interface LockedLimit {
  [column: string]: unknown
  setGlobal: number | null
  order: string | null
  jobs: string[] | null
}

/** From then on all claims that counted by the old numbers are over, and later ones wait for this transaction. */
async function lockLimit(tx: Connection, name: string): Promise<LockedLimit | null> {
  const { rows } = await tx.query<LockedLimit>(
    'select "setGlobal", "order", "jobs" from "JobLimit" where "name" = $1 for update',
    [name],
  )
  return rows[0] ?? null
}

interface KeyRow {
  [column: string]: unknown
  perKey: number | null
  weight: number
  pausedUntil: string | null
}

/** Sets what counts for one key of a job, instead of what the job says. */
export async function setKey(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  settings: KeySettings,
  request: ActionRequest,
  onChange: OnCommit,
): Promise<'set' | 'unchanged' | 'noKeys'> {
  const { name, ...given } = checkKeySettings(job, key, settings)
  const { perKey, weight, paused: pausedUntil, parked: lifts } = given
  const { by } = checkRequest(request)
  const { actor, reason = null } = by
  const own = ownLimitOf(name)
  const limit = await lockLimit(tx, own)
  if ((limit?.order ?? null) === null) return 'noKeys'
  if (limit?.order === 'fifo' && perKey !== undefined && perKey !== null) throw refusePerKey()
  const { rows } = await tx.query<KeyRow>(
    `select "perKey", "weight", "pausedUntil"::text as "pausedUntil" from "JobKey" where "name" = $1 and "key" = $2`,
    [name, key],
  )
  const before = rows[0] ?? { perKey: null, weight: 1, pausedUntil: null }
  const after = {
    perKey: perKey === undefined ? before.perKey : perKey,
    weight: weight === undefined ? before.weight : (weight ?? 1),
    pausedUntil: pausedUntil === undefined ? before.pausedUntil : pausedUntil,
  }
  const change = (['perKey', 'weight', 'pausedUntil'] as const).flatMap((what) => {
    const [is, was] = [after[what], before[what]]
    const word = what === 'pausedUntil' ? 'paused' : what
    return was === is ? [] : [`${word} ${tellSetting(is)}, before: ${tellSetting(was)}`]
  })
  if (change.length > 0)
    await tx.query(SET_KEY_SQL, [
      ...[name, key, after.perKey, after.weight, after.pausedUntil],
      ...[actor, reason, own],
    ])
  if (lifts && (await liftPark(tx, own, key))) change.push(LIFTED)
  if (change.length === 0) return 'unchanged'
  const target = { name, change: `${key}: ${change.join(', ')}` }
  await recordActions(tx, 'setKey', [target], by)
  onChange(own, await currentTransaction(tx))
  return 'set'
}

function tellSetting(value: string | number | null): string {
  if (value === null) return 'none'
  if (value === 'infinity') return 'until somebody resumes it'
  return typeof value === 'string' ? value : JSON.stringify(value)
}

const SET_KEY_SQL = `
  with changed as (
    update "JobLimit" set "changedPlace" = ${PLACE_SQL} where "name" = $8
  ), unset as (
    delete from "JobKey" where "name" = $1 and "key" = $2 and $3::int is null and $4::float8 = 1 and $5::timestamptz is null
  ), set as (
    insert into "JobKey" ("name", "key", "perKey", "weight", "pausedUntil", "pausedBy", "pausedAt", "pauseReason", "reason", "setBy", "setAt")
    select $1, $2, $3::int, $4::float8, $5::timestamptz, pause."by", pause."at", pause."why", $7::text, $6::text, now()
    from (select) one left join (select $6::text as "by", now() as "at", $7::text as "why") pause on $5::timestamptz is not null
    where not ($3::int is null and $4::float8 = 1 and $5::timestamptz is null)
    on conflict ("name", "key") do update set "perKey" = excluded."perKey", "weight" = excluded."weight",
      "pausedUntil" = excluded."pausedUntil",
      ${['pausedBy', 'pausedAt', 'pauseReason']
        .map(
          (name) =>
            `"${name}" = case when "JobKey"."pausedUntil" is not distinct from excluded."pausedUntil" then "JobKey"."${name}" else excluded."${name}" end,`,
        )
        .join(' ')}
      "reason" = excluded."reason", "setBy" = excluded."setBy", "setAt" = excluded."setAt"
  )
  select 1 as "set"`
