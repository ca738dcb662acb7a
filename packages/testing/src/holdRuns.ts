/** Gives runs that a test wrote as running the claims of the workers that they name, as if those had taken them. */
export const HOLD_RUNS_SQL = `
  insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
  select "id", "name", "workerId", "startedAt", now() + interval '1 hour', array["id"], array["startedAt"]
  from "JobRun" where "status" = 'running'
  on conflict do nothing`
