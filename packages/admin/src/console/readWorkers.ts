import type { Job } from '@roundsman/engine'
import { isWorkerSilent, listLanesInUse, type LanesInUse } from '@roundsman/engine/internal'
import { listWorkers, type JobsReader, type ListedWorker } from '@roundsman/engine/client'
import type { ConsoleWorker, ConsoleWorkers } from '../contract.ts'
import { readProgress } from '../jobs/readProgress.ts'

export async function readWorkers(
  reader: JobsReader,
  jobs: readonly Job[],
  now: Date,
): Promise<ConsoleWorkers> {
  const [workers, lanes] = await Promise.all([listWorkers(reader), listLanesInUse(reader)])
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => presentWorker(worker, lanes, jobs, now)),
  }
}

/** A worker with what it runs, the job with the most runs first. */
export function presentWorker(
  worker: ListedWorker,
  lanes: readonly LanesInUse[],
  jobs: readonly Job[],
  now: Date,
): ConsoleWorker {
  return {
    ...worker,
    isSilent: isWorkerSilent(worker, now),
    lanes: lanes
      .filter(({ workerId }) => workerId === worker.id)
      .toSorted((one, other) => other.count - one.count)
      .map(({ name, count, oldestRunId, oldestLabel, oldestStartedAt, progress }) => ({
        name,
        inUse: count,
        of: lanesOf(worker, name, jobs),
        oldest: {
          id: oldestRunId,
          label: oldestLabel,
          startedAt: oldestStartedAt,
          progress: readProgress(progress),
        },
      })),
  }
}

/** The worker says so itself. One of an older version does not: the catalogue's number is then the best guess. */
function lanesOf(worker: ListedWorker, name: string, jobs: readonly Job[]): number | null {
  const said = (worker.lanes as Record<string, unknown> | null)?.[name]
  if (Number.isSafeInteger(said)) return said as number
  const job = jobs.find((each) => each.name === name)
  return job?.isExclusive ? 1 : (job?.concurrency ?? null)
}
