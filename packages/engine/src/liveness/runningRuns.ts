/**
 * `claim` and `run` of each run that is under way. Found by what workers hold: JobRun itself has no index of what
 * runs, so that ending a run touches none.
 */
export const RUNNING_RUNS = `
  "JobClaim" claim cross join unnest(claim."runIds") held(id)
  join "JobRun" run on run."id" = held.id and run."status" = 'running'`
