import { RUNNING_RUNS } from '../liveness/runningRuns.ts'

/**
 * Whether a job has work that waits, is to be retried, or runs: also a run that did not come from the queue. What only
 * rehearses is none. `name` is an expression for the job's name.
 */
export function isUnfinishedSql(name: string): string {
  // Whatever waits or has run, the first looks at one row of an index, and the second at those that run.
  return `(
    exists (
      select from pgboss.job work
      where work.name = ${name} and work.state in ('created', 'retry', 'active')
        and work.data ->> 'dryRun' is distinct from 'true'
    ) or ${name} in (select run."name" from ${RUNNING_RUNS} where not run."dryRun")
  )`
}
