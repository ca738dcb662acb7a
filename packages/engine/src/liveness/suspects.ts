import { v7 as uuid } from 'uuid'
import { giveBackSql } from '../store/attemptSql.ts'
import type { Connection } from '../store/database.ts'

/** A run that a claim has recorded and whose handler has not been called. */
interface Unstarted {
  runId: string
  workerId: string
  /** The claim by which its worker holds it. */
  claimId: string
  /** Whether it is the last open run of its claim. */
  isLast: boolean
}

/**
 * Moves a run into a claim of its own which says that nothing else runs in the process, and returns that claim's id; null
 * when the run is no longer this worker's. It commits before the handler starts, so that the rescue knows whom to blame.
 */
export async function holdAlone(
  connection: Connection,
  { runId, workerId, claimId, isLast }: Unstarted,
): Promise<string | null> {
  const held = isLast ? claimId : uuid()
  const { rowCount } = await connection.query(isLast ? MARK_SQL : SPLIT_SQL, [
    runId,
    workerId,
    claimId,
    ...(isLast ? [] : [held]),
  ])
  return rowCount === 0 ? null : held
}

const IS_OWN = `"id" = $1 and "workerId" = $2 and "status" = 'running'`

const MARK_SQL = `
  update "JobClaim" set "isAlone" = true
  where "id" = $3 and exists (select from "JobRun" where ${IS_OWN})`

const SPLIT_SQL = `
  with rest as (
    update "JobClaim" set "runIds" = array_remove("runIds", $1) where "id" = $3
  )
  insert into "JobClaim" ("id", "name", "workerId", "runIds", "isAlone")
  select $4, "name", "workerId", array["id"], true from "JobRun" where ${IS_OWN}`

/**
 * Gives work back as if nobody had taken it: deletes its run, takes its attempt back, and delays it by `delayMs`. Returns
 * false, and does nothing, when the run is no longer this worker's or somebody has cancelled it.
 */
export async function giveBackUnstarted(
  connection: Connection,
  { runId, workerId, claimId, isLast }: Unstarted,
  delayMs: number,
): Promise<boolean> {
  const { rowCount } = await connection.query(isLast ? GIVE_BACK_LAST_SQL : GIVE_BACK_SQL, [
    runId,
    workerId,
    claimId,
    delayMs,
  ])
  return rowCount !== 0
}

const DELETE_UNSTARTED_SQL = `delete from "JobRun" where ${IS_OWN} and "cancelRequestedAt" is null`

const GIVE_BACK_LAST_SQL = giveBackSql(
  DELETE_UNSTARTED_SQL,
  'delete from "JobClaim" where "id" = $3',
)
const GIVE_BACK_SQL = giveBackSql(
  DELETE_UNSTARTED_SQL,
  'update "JobClaim" set "runIds" = array_remove("runIds", $1) where "id" = $3',
)
