import { nextTick } from '../index.ts'

/**
 * Remembers the last answer for each cron and time zone. Jobs that are due together often share theirs, and to find a
 * next time takes longer than all else that a scheduler does for a tick.
 */
export function createNextTick(): typeof nextTick {
  const answers = new Map<string, { after: number; next: Date | null }>()
  return (schedule, after) => {
    const key = `${schedule.timeZone} ${schedule.cron}`
    const known = answers.get(key)
    if (known?.after === after.getTime()) return known.next
    const next = nextTick(schedule, after)
    answers.set(key, { after: after.getTime(), next })
    return next
  }
}
