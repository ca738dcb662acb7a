import type { BulkCarrier } from '../control/carryOnBulk.ts'
import type { Rounds } from '../liveness/rounds.ts'
import type { Logger } from '../job/logger.ts'
import { settlesWithin } from '../store/settlesWithin.ts'
import type { Scheduler } from '../tick/scheduler.ts'
import type { Claimer } from '../work/claimer.ts'
import type { Lanes } from '../work/lanes.ts'
import type { Turns } from '../work/turns.ts'

/*
 * A worker is in one of these states.
 *
 *   made       start() ends it: the worker runs, or is closed if something cannot be opened. So does stop(), which closes it.
 *   running    It schedules and takes work. stop() ends it, or an error that belongs to no run (guardProcess.ts).
 *   draining   It takes nothing new, and its runs go on. Ends when the last run has ended, after `drainTimeoutMs`, or when
 *              stop() is called again.
 *   aborting   Its runs are told to end. Ends when all have been settled, or after SETTLE_TIMEOUT_MS.
 *   closed     Nothing of it is open any more. The rescue ends the runs that it could not settle.
 */

/** How long aborting and settling may take after the drain's time-out, when the database answers slowly or not at all. */
const SETTLE_TIMEOUT_MS = 9_000
/** How long each part may take to close after that. In all a stop takes up to 15 s beyond the drain's time-out. */
export const CLOSE_TIMEOUT_MS = 1_000

/** Ends a worker's work, as far as it ends in time. Its parts are still open after that. */
export async function drainWorker(
  parts: {
    claimer: Claimer
    turns: Turns
    schedulers: readonly Pick<Scheduler, 'stop'>[]
    rounds: Rounds
    bulk: BulkCarrier
    lanes: Lanes
    log: Logger
    abortRuns: () => void
  },
  drainTimeoutMs: number,
): Promise<void> {
  const { lanes, log } = parts
  parts.claimer.stop()
  parts.turns.stop()
  const takesNothing = Promise.all([
    ...parts.schedulers.map((scheduler) => scheduler.stop()),
    parts.rounds.stop(),
    parts.bulk.stop(),
    lanes.stop(),
  ])
  const isIdle = takesNothing.then(() => lanes.idle())
  if (await settlesWithin(isIdle, drainTimeoutMs)) return
  log.warn({ runs: lanes.running() }, 'drain timed out, aborting the runs that are left')
  parts.abortRuns()
  if (await settlesWithin(isIdle, SETTLE_TIMEOUT_MS)) return
  log.warn('the database does not answer: the rescue will end the runs that are left')
}
