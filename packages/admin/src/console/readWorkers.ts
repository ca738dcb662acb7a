import {
  findFormerWorker,
  findWorker,
  isWorkerSilent,
  listLanesInUse,
  listWorkerRuns,
} from '@roundsman/engine/internal'
import { listWorkers, type ListedWorker, type JobsReader } from '@roundsman/engine/client'
import type { ConsoleWorkerDetail, ConsoleWorkers } from '../contract.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
/** Workers' clocks disagree. */
const SLACK_MS = MINUTE_MS
/** The hour ends this long after the requested instant. */
const AFTER_MS = 5 * MINUTE_MS

/** Later than any run, even by a clock that is ahead. */
const EVER = new Date('9999-01-01T00:00:00Z')

export async function readWorkers(reader: JobsReader, now: Date): Promise<ConsoleWorkers> {
  const [workers, lanes] = await Promise.all([listWorkers(reader), listLanesInUse(reader)])
  return {
    generatedAt: now.toISOString(),
    workers: workers.map((worker) => ({
      ...worker,
      isSilent: isWorkerSilent(worker, now),
      running: lanes
        .filter(({ workerId }) => workerId === worker.id)
        .toSorted((one, other) => other.count - one.count),
    })),
  }
}

/**
 * Reads the last hour of a worker, up to now or to its last sign of life. For an ended worker, `at` selects the hour: it ends
 * shortly after `at`. Null without `at`, if the worker left no row. A run's instants are by the worker's clock, which may be
 * ahead.
 */
export async function readWorkerDetail(
  reader: JobsReader,
  id: string,
  now: Date,
  at: Date | undefined,
): Promise<ConsoleWorkerDetail | null> {
  const worker = await findWorker(reader, id)
  const former = worker === null ? await findFormerWorker(reader, id) : null
  const end = endOf({ worker, former, at, now })
  if (end === null) return null
  const until = new Date(Math.min(end.getTime(), now.getTime()))
  const startedMs = worker ? Date.parse(worker.startedAt) - SLACK_MS : 0
  const from = new Date(Math.max(until.getTime() - HOUR_MS, startedMs))
  const hour = { workerId: id, from, to: new Date(until.getTime() + SLACK_MS) }
  const inHour = worker?.isAlive === true ? null : await listWorkerRuns(reader, hour)
  // A clock far ahead has recorded runs later than any end.
  const isFound = inHour !== null && inHour.runs.length > 0
  const { runs, since } = isFound ? inHour : await listWorkerRuns(reader, { ...hour, to: EVER })
  return {
    generatedAt: now.toISOString(),
    worker: worker && { ...worker, isSilent: isWorkerSilent(worker, now) },
    former,
    runs,
    since,
  }
}

/** The end of the hour to show. Null if the worker is unknown. */
function endOf(of: {
  worker: ListedWorker | null
  former: { endedAt: string } | null
  at: Date | undefined
  now: Date
}): Date | null {
  const { worker, former, at, now } = of
  if (worker !== null) return worker.isAlive ? now : new Date(worker.lastSignAt)
  if (at !== undefined) return new Date(at.getTime() + AFTER_MS)
  return former && new Date(former.endedAt)
}
