import { equalsInOrder } from '../database/equalsInOrder.ts'
import { jsonNumber } from './bounded.ts'
import type { RunStatus } from './jobRuns.ts'
import type { JobsReader } from './reader.ts'
import { outcomeOf, type RunOutcome } from '../job/runOutcome.ts'

/** Instants are ISO 8601 in UTC. */
export interface RecentRun {
  name: string
  id: string
  status: RunStatus
  outcome: RunOutcome
  startedAt: string
  endedAt: string | null
  /** The number of rows that a clean-up counted. Null for other runs. */
  cleaned: number | null
}

export interface RecentRunsOptions {
  /** Maximum of runs of each job. */
  limit: number
  /** Only ended runs, without dry runs. Default: false. */
  areEnded?: boolean
}

/** Lists the newest runs of each job, the latest first. */
export async function listRecentRuns(
  reader: JobsReader,
  names: readonly string[],
  { limit, areEnded = false }: RecentRunsOptions,
): Promise<RecentRun[]> {
  return await reader.rows<RecentRun>({
    text: `
      select run.* from unnest($1::text[]) as job(name)
      cross join lateral (
        select "name", "id", "status", "startedAt", "endedAt", ${outcomeOf()} as "outcome",
               ${jsonNumber(`"details" -> 'cleaned'`)} as "cleaned"
        from ${areEnded ? '"JobRun"' : '"JobRunAll"'} where ${equalsInOrder('"name"', 'job.name')}
          ${areEnded ? `and "status" not in ('running', 'suspended') and not "dryRun"` : ''}
        order by "name", "startedAt" desc, "id" desc limit $2::int
      ) run
      order by run."name", run."startedAt" desc, run."id" desc`,
    values: [names, limit],
  })
}
