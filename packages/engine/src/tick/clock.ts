import cron from 'node-cron'
import type { Logger } from '../job/logger.ts'

/** Calls back every full second until it is stopped. */
export type Clock = (onSecond: () => void, log: Pick<Logger, 'error'>) => { stop(): void }

/** After so many of the guard's own turns, a second apart, without a wake-up, the inner clock counts as silent. */
const SILENT_TURNS = 5
/** The guard's turns come so much before a full second, so that after a host's long sleep it runs before node-cron. */
const HEAD_START_MS = 20
/** When its turn comes this much too late or too early, the host's clock has jumped, or nothing ran for a while. */
const JUMP_MS = 2_000

/** node-cron only says here that a second has passed, never what is due. */
export const nodeCronClock: Clock = guardClock((onSecond) => {
  const task = cron.schedule('* * * * * *', onSecond, {
    // In the host's zone node-cron would skip the seconds of an hour that comes twice.
    timezone: 'UTC',
    // A late wake-up finds everything that became due, so node-cron need not drop or report it.
    suppressMissedWarning: true,
  })
  return { stop: () => void task.destroy() }
}, isReadByNodeCron)

/**
 * Whether node-cron can tell this time. It cuts the milliseconds off in the host's zone, whatever zone it is given: in an
 * hour that comes twice there it takes the second for the first, and would call only itself, without a pause.
 */
function isReadByNodeCron(instant: number): boolean {
  return new Date(instant).setMilliseconds(0) === Math.floor(instant / 1_000) * 1_000
}

/**
 * Guards an inner clock: replaces it when it falls silent, and calls back itself until the inner one does again. It counts
 * its own turns instead of time, so that a blocked event loop or a suspended host does not look like a silent clock. While
 * the inner clock cannot tell the time, the guard stops it and calls back itself.
 *
 * After a jump of the host's clock it replaces the inner one at once: node-cron would walk through every skipped second,
 * which takes 12 s for a day, and would stand still for as long as the clock was set back.
 */
export function guardClock(
  inner: (onSecond: () => void) => { stop(): void },
  canTell: (instant: number) => boolean = () => true,
): Clock {
  return (onSecond, log) => {
    let turns = 0
    let isSilent = false
    let ticking: { stop(): void } | null = null
    const wake = () => {
      turns = 0
      isSilent = false
      onSecond()
    }

    function schedule(): NodeJS.Timeout {
      const now = Date.now()
      const inMs = 1_000 - ((now + HEAD_START_MS) % 1_000)
      return setTimeout(turn, inMs, now + inMs)
    }

    function turn(expectedAt: number): void {
      const now = Date.now()
      const hasJumped = Math.abs(now - expectedAt) > JUMP_MS
      if (hasJumped || !mayTick(now)) halt()
      else if (ticking !== null && ++turns >= SILENT_TURNS) {
        if (!isSilent) log.error({ turns }, 'the clock fell silent and was replaced')
        isSilent = true
        halt()
      }
      if (hasJumped || isSilent || ticking === null) onSecond()
      if (ticking === null && mayTick(now)) ticking = inner(wake)
      timer = schedule()
    }

    /** Whether the inner clock can tell the time until a little after the next turn. */
    function mayTick(now: number): boolean {
      return canTell(now) && canTell(now + 2_000)
    }

    function halt(): void {
      turns = 0
      ticking?.stop()
      ticking = null
    }

    if (mayTick(Date.now())) ticking = inner(wake)
    let timer = schedule()
    return {
      stop() {
        clearTimeout(timer)
        halt()
      },
    }
  }
}
