import { boundedText, jsonNumber } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { Reader, Statement } from './reader.ts'
import { runOutcome, type RunOutcome } from './runOutcome.ts'

/** Instants are ISO 8601 in UTC. */
export interface RecentRun {
  name: string
  id: string
  status: RunStatus
  outcome: RunOutcome
  startedAt: string
  endedAt: string | null
  /** What a clean-up has counted; null for others. */
  cleaned: number | null
}

export interface RecentRunsOptions {
  /** Of each job. */
  limit: number
  /** Only those that have ended, and that were no dry runs. Default: false. */
  areEnded?: boolean
}

/** The newest runs of each job, the latest first. */
export async function listRecentRuns(
  reader: Reader,
  names: readonly string[],
  options: RecentRunsOptions,
): Promise<RecentRun[]> {
  const rows = await reader.rows<Omit<RecentRun, 'outcome'> & { errorCode: string | null }>(
    recentRunsQuery(names, options),
  )
  return rows.map(({ errorCode, ...run }) => ({
    ...run,
    outcome: runOutcome({ status: run.status, errorCode }),
  }))
}

/** What `listRecentRuns` sends; apart, so that its plan can be looked at. */
export function recentRunsQuery(
  names: readonly string[],
  { limit, areEnded = false }: RecentRunsOptions,
): Statement {
  // One look into the index of each name's runs, however many there are. With `=`, PostgreSQL may go back through
  // everybody's runs until it meets one of this job, which may have none. Only that index lists them by name first.
  return {
    text: `
      select run.* from unnest($1::text[]) as job(name)
      cross join lateral (
        select "name", "id", "status", "startedAt", "endedAt", ${boundedText('"errorCode"')} as "errorCode",
               ${jsonNumber(`"details" -> 'cleaned'`)} as "cleaned"
        from ${areEnded ? '"JobRun"' : '"JobRunAll"'} where "name" between job.name and job.name
          ${areEnded ? `and "status" <> 'running' and not "dryRun"` : ''}
        order by "name", "startedAt" desc, "id" desc limit $2::int
      ) run
      order by run."name", run."startedAt" desc, run."id" desc`,
    values: [names, limit],
  }
}
