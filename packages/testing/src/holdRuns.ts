/** Runs that a test has written as running are held by the workers they name, as if those had taken them. */
export const HOLD_RUNS_SQL = `
  insert into "JobClaim" ("id", "name", "workerId", "runIds")
  select "id", "name", "workerId", array["id"] from "JobRun" where "status" = 'running'
  on conflict do nothing`
