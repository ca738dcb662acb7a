/** Gives runs that a test wrote as running the claims of the workers that they name, as if those had taken them. */
export const HOLD_RUNS_SQL = `
  insert into "JobClaim" ("id", "name", "workerId", "origin", "startedAt", "expiresAt", "runIds", "workIds", "attempts", "facts", "enqueuedAts")
  select "id", "name", "workerId", case when "workId" is null then 'hand' else 'queue' end, "startedAt", now() + interval '1 day',
         array["id"], array[coalesce("workId", "id")], array["attempt"],
         array[jsonb_build_object('trigger', "trigger", 'dryRun', "dryRun")], array["startedAt"]
  from "JobRun" where "status" = 'running'
  on conflict do nothing`
