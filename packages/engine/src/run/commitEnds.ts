import type { HeldClaim } from '../store/claimWork.ts'
import type { Connection, Database } from '../store/database.ts'
import type { Queue } from '../store/queue.ts'
import { KEEP_PAYLOAD_SQL } from '../store/queueSql.ts'
import { settleWork, type EndToRecord } from '../store/settleWork.ts'
import { writeOutRuns } from '../store/starts.ts'
import { writeEnds } from '../store/writeEnds.ts'
import type { EndedRun } from './settler.ts'

/** A run's end with its details as JSON. */
export interface StatedEnd extends EndToRecord {
  ended: EndedRun
}

export interface Committed extends Awaited<ReturnType<typeof settleWork>> {
  /** The claims whose rows were deleted. */
  let: readonly HeldClaim[]
}

/** Whose runs these are, and where they are recorded. */
interface Place {
  database: Database
  queue: Queue
  workerId: string
}

/**
 * Commits the ends of a group, and deletes the claims `over`, whose last runs these are. Unwritten successes come first, by a
 * statement of their own: the runs of a group do not depend on each other. It throws what PostgreSQL or the driver throws.
 */
export async function commitEnds(
  place: Place,
  group: readonly StatedEnd[],
  over: readonly HeldClaim[],
): Promise<Committed> {
  const { database, workerId } = place
  const [silent, others] = divide(group)
  if (silent.length === 0) return { ...(await commitWritten(place, group, over)), let: over }

  // The start of a run that is yet to be written out has to stay until it is.
  const loud = new Set(others.map(({ ended }) => ended.held))
  const quiet = over.filter((held) => !loud.has(held))
  const starts = quiet.flatMap(({ id, hasStart }) => (hasStart ? [id] : []))
  const written = await writeEnds(database, workerId, silent, starts)
  if (written.size === group.length)
    return { recorded: written, expired: [], let: quiet.filter(({ hasClaim }) => !hasClaim) }

  // Somebody has written the missing ones out meanwhile.
  const missing = silent.filter(({ ended }) => !written.has(ended.run.id))
  for (const { ended } of missing) ended.held.hasClaim = true
  const rest = [...missing, ...others]
  const { recorded, expired } = await commitWritten(place, rest, over)
  return { recorded: new Map([...written, ...recorded]), expired, let: over }
}

/** Divides a group into runs that succeeded and are not written yet, and all others. */
function divide(group: readonly StatedEnd[]): [silent: StatedEnd[], others: StatedEnd[]] {
  const silent: StatedEnd[] = []
  const others: StatedEnd[] = []
  for (const one of group) {
    const isSilent = one.ended.isUnwritten === true && one.ended.failure === null
    ;(isSilent ? silent : others).push(one)
  }
  return [silent, others]
}

/** Commits the ends of runs that are written, and of unwritten ones that failed, after it has written these out. */
async function commitWritten(
  { database, queue, workerId }: Place,
  group: readonly StatedEnd[],
  over: readonly HeldClaim[],
): ReturnType<typeof settleWork> {
  const failed = group.flatMap(toFailed)
  const kept = group.filter(({ ended }) => ended.payloadToKeep !== undefined)
  // One statement is a transaction of its own.
  if (failed.length + kept.length === 0) return await settleWork(database, workerId, group, over)
  return await database.transaction(async (tx) => {
    await writeOut(tx, group)
    const answer = await settleWork(tx, workerId, group, over)
    const recorded = failed.filter(({ id }) => answer.recorded.has(id))
    await tellQueue(tx, queue, recorded)
    for (const { ended } of kept) {
      const { id, name } = ended.run
      if (!answer.recorded.has(id)) continue
      await tx.query(KEEP_PAYLOAD_SQL, [id, name, JSON.stringify(ended.payloadToKeep)])
    }
    return answer
  })
}

/** A run from the queue that failed. */
interface Failed {
  id: string
  delivery: { workId: string; name: string; attempt: number }
  failure: NonNullable<EndedRun['failure']>
}

function toFailed({ ended: { run, failure } }: StatedEnd): Failed[] {
  const { id, workId, name, attempt } = run
  if (workId === null || failure === null) return []
  return [{ id, delivery: { workId, name, attempt }, failure }]
}

/** Writes out the unwritten runs of a group. */
async function writeOut(tx: Connection, group: readonly StatedEnd[]): Promise<void> {
  const unwritten = group.flatMap(({ ended }) => (ended.isUnwritten ? [ended] : []))
  if (unwritten.length === 0) return
  for (const { held } of unwritten) held.hasClaim = true
  const startIds = [...new Set(unwritten.map(({ held }) => held.id))]
  const runIds = unwritten.map(({ run }) => run.id)
  await writeOutRuns(tx, startIds, runIds)
}

/**
 * Tells the queue what becomes of the work of runs that failed. What follows the same way is told together: with a statement
 * for each, the network alone would take longer than a drain has.
 */
async function tellQueue(tx: Connection, queue: Queue, failed: readonly Failed[]): Promise<void> {
  const same = Map.groupBy(failed, ({ delivery, failure }) => `${failure.next} ${delivery.name}`)
  for (const group of same.values()) {
    const [{ failure }] = group as [Failed]
    const deliveries = group.map(({ delivery }) => delivery)
    // The queue's row gets no stack: the run has it.
    const errors = group.map(({ failure: { error } }) => ({
      code: error.code,
      message: error.message,
    }))
    await queue.fail(tx, deliveries, errors, failure.next)
  }
}
