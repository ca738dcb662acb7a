import cron from 'node-cron'
import type { Logger } from '../job/logger.ts'

/** Calls back at every full second until it is stopped. */
export type Clock = (onSecond: () => void, log: Pick<Logger, 'error'>) => { stop(): void }

/** So many of the guard's own turns without a wake-up, each a second apart. */
const SILENT_TURNS = 5
/** So much before a full second: on a host that wakes up after hours, the guard comes before node-cron. */
const HEAD_START_MS = 20
/** Later or earlier than this, the guard takes it that the host's clock has jumped, or nothing ran for a while. */
const JUMP_MS = 2_000

/** node-cron is a clock here, and no more: it says that a second has passed, never what is due. */
export const nodeCronClock: Clock = guardClock((onSecond) => {
  const task = cron.schedule('* * * * * *', onSecond, {
    // In the host's zone it would skip the seconds of an hour that comes twice.
    timezone: 'UTC',
    // A late wake-up finds what was due all the same, so none is worth dropping, or a warning.
    suppressMissedWarning: true,
  })
  return { stop: () => void task.destroy() }
}, isReadByNodeCron)

/**
 * node-cron cuts the milliseconds off in the host's zone, whatever zone it is given. When an hour comes twice there, the
 * second one reads as the first, and it would call itself without a pause until that is over, and nobody else.
 */
function isReadByNodeCron(instant: number): boolean {
  return new Date(instant).setMilliseconds(0) === Math.floor(instant / 1_000) * 1_000
}

/**
 * A clock that is replaced when it falls silent, and stood in for until it wakes again. It counts turns of the event
 * loop rather than time, so that a loop that was blocked and a host that was suspended are not taken for a silent clock.
 * Where the inner one can't tell the time, it is stopped, and stood in for.
 *
 * After a jump of the host's clock it is replaced at once: node-cron would walk through every second that was jumped
 * over, which takes it 12 s for a day, and stand still for as long as the clock was set back.
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

    /** Until the next turn, and a little longer. */
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
