/** Gives runs that a test wrote as running the claims of the workers that they name, as if those had taken them. */
export const HOLD_RUNS_SQL = `
  insert into "JobClaim" ("id", "name", "workerId", "runIds")
  select "id", "name", "workerId", array["id"] from "JobRun" where "status" = 'running'
  on conflict do nothing`
