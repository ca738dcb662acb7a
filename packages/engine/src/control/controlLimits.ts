import {
  checkKeySettings,
  checkLimitSettings,
  checkRequest,
  refusePerKey,
} from '../arguments/actions.ts'
import type { Job } from '../job/defineJob.ts'
import { ownLimitOf, type SharedLimit } from '../job/limits.ts'
import type { Connection } from '../database/database.ts'
import { PLACE_SQL } from '../queue/place.ts'
import type { ActionRequest, OnCommit } from './controlJobs.ts'
import { recordActions } from '../queue/recordActions.ts'

/** Selects a limit: that of one job, or one that jobs share. */
export type WhichLimit = { job: Pick<Job, 'name'> } | { limit: Pick<SharedLimit, 'name'> }

/** Omitted settings do not change. */
export interface LimitSettings {
  /** Maximum of runs at once over all workers. Overrides the limit in the code; null removes the override. */
  global?: number | null
  /** `false` ends the wait that a `RateLimited` error started: work starts at once. */
  parked?: false
}

/** Omitted settings do not change. */
export interface KeySettings {
  /** Maximum of runs of this key at once. Overrides the job's `perKey`; null removes the override. */
  perKey?: number | null
  /** `true`: none of its work starts until this is set to `false`. A Date: none starts before then. */
  paused?: boolean | Date
  /** `false` ends the wait that a `RateLimited` error started: work starts at once. */
  parked?: false
}

/**
 * Sets the maximum of runs at once under a limit, and passes the new state to `onChange`. If more runs are under way, nothing
 * starts until enough have ended.
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
  // A job without a limit in its code gets one, if a worker has the job.
  if (job !== undefined && typeof global === 'number')
    await tx.query(
      `insert into "JobLimit" ("name") select $1 from "JobWorker" where "limits" ? $2 limit 1 on conflict do nothing`,
      [name, job],
    )
  const row = await lockLimit(tx, name)
  const isOfJob = row?.jobs === null
  if (row === null || isOfJob !== (job !== undefined)) return 'notFound'
  const changes: string[] = []
  if (global !== undefined && global !== row.setGlobal) {
    await tx.query(SET_LIMIT_SQL, [name, global, actor, reason])
    const describe = (value: number | null) =>
      value === null ? 'the number in the code' : String(value)
    changes.push(`at once ${describe(global)}, before: ${describe(row.setGlobal)}`)
  }
  if (lifts) {
    const { rowCount } = await tx.query(
      `update "JobLimit" set ${LIFT_PARK} where "name" = $1 and "parkedUntil" > now()`,
      [name],
    )
    if (rowCount === 1) changes.push(LIFTED)
  }
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

const LIFT_PARK = '"parkedUntil" = null, "parkedAt" = null, "parkReason" = null'
const LIFTED = 'parked no longer'

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

/** Locks a limit: all claims that counted by the old numbers have ended, and later ones wait for this transaction. */
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
  pausedUntil: string | null
  isParked: boolean
}

/** Sets the limit and the pause of one key of a job. */
export async function setKey(
  tx: Connection,
  job: Pick<Job, 'name'>,
  key: string,
  settings: KeySettings,
  request: ActionRequest,
  onChange: OnCommit,
): Promise<'set' | 'unchanged' | 'noKeys'> {
  const { name, ...given } = checkKeySettings(job, key, settings)
  const { perKey, paused: pausedUntil, parked: lifts } = given
  const { by } = checkRequest(request)
  const { actor, reason = null } = by
  const own = ownLimitOf(name)
  const limit = await lockLimit(tx, own)
  if ((limit?.order ?? null) === null) return 'noKeys'
  if (limit?.order === 'fifo' && perKey !== undefined && perKey !== null) throw refusePerKey()
  const { rows } = await tx.query<KeyRow>(
    `select "perKey", "pausedUntil"::text as "pausedUntil", coalesce("parkedUntil" > now(), false) as "isParked"
     from "JobKey" where "name" = $1 and "key" = $2 for update`,
    [name, key],
  )
  const before = rows[0] ?? { perKey: null, pausedUntil: null, isParked: false }
  const after = {
    perKey: perKey === undefined ? before.perKey : perKey,
    pausedUntil: pausedUntil === undefined ? before.pausedUntil : pausedUntil,
  }
  const change = (['perKey', 'pausedUntil'] as const).flatMap((what) => {
    const [is, was] = [after[what], before[what]]
    const word = what === 'pausedUntil' ? 'paused' : what
    return was === is ? [] : [`${word} ${tellSetting(is)}, before: ${tellSetting(was)}`]
  })
  if (change.length > 0)
    await tx.query(SET_KEY_SQL, [name, key, after.perKey, after.pausedUntil, actor, reason, own])
  if (lifts && before.isParked) {
    await tx.query(`update "JobKey" set ${LIFT_PARK} where "name" = $1 and "key" = $2`, [name, key])
    change.push(LIFTED)
  }
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

/** If no setting is left, a round deletes the row once its rate and its park are over. */
const SET_KEY_SQL = `
  with changed as (
    update "JobLimit" set "changedPlace" = ${PLACE_SQL} where "name" = $7
  )
  insert into "JobKey" ("name", "key", "perKey", "pausedUntil", "pausedBy", "pausedAt", "pauseReason", "reason", "setBy", "setAt", "freeAt")
  select $1, $2, $3::int, $4::timestamptz, pause."by", pause."at", pause."why", one."why", one."by", one."at", now()
  from (select) always
    left join (select $5::text as "by", now() as "at", $6::text as "why") pause on $4::timestamptz is not null
    left join (select $5::text as "by", now() as "at", $6::text as "why") one on coalesce($3::text, $4::text) is not null
  on conflict ("name", "key") do update set "perKey" = excluded."perKey", "pausedUntil" = excluded."pausedUntil",
    ${['pausedBy', 'pausedAt', 'pauseReason']
      .map(
        (name) =>
          `"${name}" = case when "JobKey"."pausedUntil" is not distinct from excluded."pausedUntil" then "JobKey"."${name}" else excluded."${name}" end,`,
      )
      .join(' ')}
    "reason" = excluded."reason", "setBy" = excluded."setBy", "setAt" = excluded."setAt",
    "freeAt" = coalesce("JobKey"."freeAt", excluded."freeAt")`
