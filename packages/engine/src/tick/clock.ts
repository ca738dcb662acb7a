import cron from 'node-cron'

/** Calls back every full second until it is stopped. */
export type Clock = (onSecond: () => void) => { stop(): void }

/** The guard acts this long before a full second, so that it runs before node-cron after a long sleep of the host. */
const HEAD_START_MS = 20
/** If the guard is this much too late or too early, the host's clock has jumped, or the process was stopped. */
const JUMP_MS = 2_000

/** node-cron only reports that a second has passed, never which ticks are due. */
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
 * Whether node-cron handles this time correctly. It removes the milliseconds in the host's zone, even if another zone is set.
 * In an hour that comes twice there, it mistakes the second hour for the first, and would call itself without a pause.
 */
function isReadByNodeCron(instant: number): boolean {
  return new Date(instant).setMilliseconds(0) === Math.floor(instant / 1_000) * 1_000
}

/**
 * Guards an inner clock. If that has not called back since the guard's last turn, a second ago, or cannot handle the time, the
 * guard calls back itself and replaces it. It also replaces it after a jump of the host's clock. Otherwise node-cron would
 * process every skipped second, which takes 12 s for a day, and would stop for as long as the clock was set back.
 */
export function guardClock(
  inner: (onSecond: () => void) => { stop(): void },
  canTell: (instant: number) => boolean = () => true,
): Clock {
  return (onSecond) => {
    let ticking: { stop(): void } | null = null
    let hasTicked = true
    const tick = () => {
      hasTicked = true
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
      if (hasJumped || !hasTicked || !mayTick(now)) halt()
      if (ticking === null) onSecond()
      start(now)
      hasTicked = false
      timer = schedule()
    }

    /** Starts the inner clock if it handles all times until shortly after the next turn. */
    function start(now: number): void {
      if (ticking === null && mayTick(now)) ticking = inner(tick)
    }

    function mayTick(now: number): boolean {
      return canTell(now) && canTell(now + 2_000)
    }

    function halt(): void {
      ticking?.stop()
      ticking = null
    }

    start(Date.now())
    let timer = schedule()
    return {
      stop() {
        clearTimeout(timer)
        halt()
      },
    }
  }
}
