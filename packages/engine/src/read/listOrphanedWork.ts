import { isAnyWorkerAlive } from './listWorkers.ts'
import { countQueue } from './getQueueStats.ts'
import { jobsWithoutWorker, readPausedQueues, withOtherJobs } from './readQueues.ts'
import type { JobsReader } from './reader.ts'

/**
 * Lists the orphans: jobs of which the queue holds something, and that neither `names`, the catalogue, nor any living worker
 * knows. None while no worker lives, since then nobody can tell. `alsoOf`: more names to look at.
 */
export async function listOrphans(
  reader: JobsReader,
  names: readonly string[],
  alsoOf: readonly string[] = [],
): Promise<string[]> {
  const all = new Set([...(await withOtherJobs(reader, names)), ...alsoOf])
  const others = [...all.difference(new Set(names))]
  if (others.length === 0 || !(await isAnyWorkerAlive(reader))) return []
  return await jobsWithoutWorker(reader, others)
}

/** Work of an orphan that waits: nobody will ever take it. */
export interface OrphanedWork {
  name: string
  /** How many pieces wait, those for later included. What is due is counted up to MAX_MEASURED, and so is the rest. */
  waiting: number
}

/** Lists what waits of orphans, except in paused queues, where somebody wants it to wait. */
export async function listOrphanedWork(
  reader: JobsReader,
  names: readonly string[],
): Promise<OrphanedWork[]> {
  const orphans = await listOrphans(reader, names)
  if (orphans.length === 0) return []
  const pauses = await readPausedQueues(reader)
  const counts = await countQueue(reader, orphans)
  return counts
    .filter(({ name, waiting }) => waiting > 0 && !pauses.has(name))
    .map(({ name, waiting }) => ({ name, waiting }))
}
