import type { ScheduledJob } from '@roundsman/engine'
import { describeDuration } from '../command/describeDuration.ts'
import type { WorkerEnvironment } from '../env.ts'
import type { Finding } from './finding.ts'

const DAY_MS = 86_400_000

/** Whether the ledger and the runs are kept for as long as anybody may ask them. */
export function checkRetention(
  jobs: readonly ScheduledJob[],
  env: Pick<WorkerEnvironment, 'JOB_RUN_RETENTION_DAYS' | 'JOB_RUN_FAILED_RETENTION_DAYS'>,
): Finding[] {
  const { JOB_RUN_RETENTION_DAYS: days, JOB_RUN_FAILED_RETENTION_DAYS: failedDays } = env
  const findings: Finding[] = jobs
    .filter(({ schedule }) => schedule.catchUpMs > days * DAY_MS)
    .map(({ name, schedule }) => ({
      severity: 'error',
      code: 'retention_shorter_than_catch_up',
      job: name,
      problem: `it makes up for ticks of ${describeDuration(schedule.catchUpMs)}, and the ledger forgets them after ${days} days: a tick could run that has had its outcome`,
      remedy: `set JOB_RUN_RETENTION_DAYS to ${Math.ceil(schedule.catchUpMs / DAY_MS)} or more, or lower its catchUpMs`,
    }))
  if (failedDays < days) {
    findings.push({
      severity: 'warning',
      code: 'failed_runs_kept_shorter',
      job: null,
      problem: `failed runs are kept for ${failedDays} days, which is less than the ${days} days of those that succeeded`,
      remedy: `set JOB_RUN_FAILED_RETENTION_DAYS to ${days} or more: what failed is what one looks for`,
    })
  }
  return findings
}
