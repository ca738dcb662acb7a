import { JobError } from '../job/jobError.ts'
import { giveBackUnstarted, holdAlone } from './suspects.ts'
import { Abort } from '../run/abort.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { performRun, type RunManner, type RunServices } from '../run/performRun.ts'
import type { HeldClaim, TakenWork } from '../store/claimWork.ts'
import type { Turns } from '../work/turns.ts'

/** How long work waits that found this process busy. Another worker may take it then. */
const GIVE_WAY_MS = 10_000

/**
 * Carries out work that has lost several workers, alone in this process: if it is lost again, its own run is to blame. The
 * handler and its time-out start once nothing else runs here; if that takes too long, it gives the work back instead.
 */
export async function performSuspect(
  services: RunServices,
  taken: TakenWork,
  manner: RunManner,
  turns: Turns,
): Promise<unknown> {
  const { database, workerId, cancellations, log } = services
  const { run, held } = taken
  const fields = { name: run.name, runId: run.id, attempt: run.attempt }
  const abort = new Abort()
  cancellations.watch(run.id, abort)
  log.info(fields, 'job run waits to run alone: its work has lost several workers')
  const turn = await turns.take(abort)
  try {
    if (turn.kind === 'alone') {
      const own = await untilDone(moveToOwnClaim)
      if (own !== null)
        return await performRun(services, { ...taken, held: own }, { ...manner, isAlone: true })
    } else if (turn.kind !== 'aborted') {
      const delayMs = turn.kind === 'busy' ? GIVE_WAY_MS : 0
      if (await untilDone(() => giveBack(delayMs))) {
        cancellations.forget(run.id)
        log.info({ ...fields, reason: turn.kind }, 'job run given back before it started')
        return null
      }
    }
    // Cancelled, lost or drained meanwhile: the run ends like any aborted run, without calling its handler.
    const handler = async () => {
      throw abort.isAborted ? abort.reason : new JobError('run_lost', 'The run was taken over')
    }
    return await performRun(services, taken, { ...manner, handler, abort })
  } finally {
    if (turn.kind === 'alone') turn.end()
  }

  /** Tries until it succeeds; null once the run is aborted. */
  async function untilDone<Value>(attempt: () => Promise<Value>): Promise<Value | null> {
    for (let failures = 1; !abort.isAborted; failures++) {
      try {
        return await attempt()
      } catch (error) {
        log.warn(
          { ...fields, err: error },
          'a run that waits to run alone could not be moved, trying again',
        )
        await pauseAfter(failures)
      }
    }
    return null
  }

  async function moveToOwnClaim(): Promise<HeldClaim | null> {
    const isLast = held.open === 1
    const id = await holdAlone(database, {
      runId: run.id,
      workerId,
      claimId: held.id,
      isLast,
    })
    if (id === null) return null
    if (isLast) return held
    await leave()
    return { id, open: 1 }
  }

  async function giveBack(delayMs: number): Promise<boolean> {
    const isLast = held.open === 1
    const where = { runId: run.id, workerId, claimId: held.id, isLast }
    const isGivenBack = await giveBackUnstarted(database, where, delayMs)
    if (isGivenBack && isLast) held.open--
    else if (isGivenBack) await leave()
    return isGivenBack
  }

  /** Leaves the shared claim. Only now: before, the settler could have deleted the claim that still held this run. */
  async function leave(): Promise<void> {
    held.open--
    if (held.open > 0) return
    await database
      .query('delete from "JobClaim" where "id" = $1', [held.id])
      .catch((error: unknown) => log.warn({ err: error }, 'claims could not be released'))
  }
}
