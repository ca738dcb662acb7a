import { v7 as uuid } from 'uuid'
import type { TestRuntime } from './openTestRuntime.ts'

/** Has a worker hold runs of a job by one claim, as if it had taken their work. Returns the ids of the runs. */
export async function holdRuns(
  { rows }: Pick<TestRuntime, 'rows'>,
  { name, workerId, count = 1 }: { name: string; workerId: string; count?: number },
): Promise<string[]> {
  const ids = Array.from({ length: count }, () => uuid())
  await rows(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
     values (gen_random_uuid(), $1, $2, now(), now() + interval '15 minutes', $3, array_fill(now(), array[$4::int]))`,
    [name, workerId, ids, count],
  )
  return ids
}
