import type { Connection } from './database.ts'
import { GIVES_WAY } from './giveWay.ts'
import type { TakenWork } from './claimWork.ts'

/**
 * Writes a run into JobRun as running, before its first batch or its progress is stored there. It does nothing where JobRun has
 * the run already, or its claim does not hold it any more: what is stored then finds no row.
 */
export async function recordRunning(
  connection: Connection,
  workerId: string,
  { run, held }: TakenWork,
): Promise<void> {
  await connection.query(RECORD_RUNNING_SQL, [
    workerId,
    held.id,
    run.id,
    run.trigger,
    run.attempt,
    run.scheduledFor,
    run.dryRun,
    run.actor,
    run.reason,
    run.workId,
    run.label ?? null,
    run.shown === undefined ? null : JSON.stringify(run.shown),
  ])
}

const RECORD_RUNNING_SQL = `
  insert into "JobRun" ("id", "name", "trigger", "attempt", "scheduledFor", "startedAt", "dryRun", "actor", "reason", "workId",
    "workerId", "createdAt", "label", "shown", "dueAt")
  select $3::uuid, claim."name", $4::text::"JobTrigger", $5::int, $6::timestamptz, claim."startedAt", $7::boolean, $8::text, $9::text,
         $10::uuid, claim."workerId", claim."createdAt", $11::text, $12::text::jsonb,
         claim."dueAts"[array_position(claim."runIds", $3::uuid)]
  from (
    select * from "JobClaim" where "id" = $2::uuid and "workerId" = $1 and "runIds" @> array[$3::uuid] and ${GIVES_WAY} for key share
  ) claim
  on conflict ("id") do nothing`
