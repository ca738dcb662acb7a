import type { ConsoleJobDetail } from '@roundsman/admin/contract'

export type UpcomingTick = ConsoleJobDetail['upcoming'][number]

export interface UpcomingDay {
  /** `2026-11-24`, by the clock of the schedule's zone. */
  date: string
  ticks: UpcomingTick[]
  /** The UTC offsets of its ticks, and that of the tick before it if the clocks have changed since. */
  offsets: string[]
  /** Whether the zone's clocks change on this day, or changed since the tick before it. */
  hasClockChange: boolean
}

/** Groups ticks by their date on the zone's clock. */
export function groupUpcoming(upcoming: readonly UpcomingTick[]): UpcomingDay[] {
  const days: UpcomingDay[] = []
  let before: string | undefined
  for (const tick of upcoming) {
    const date = tick.local.slice(0, 10)
    let day = days.at(-1)
    if (day?.date !== date) {
      day = {
        date,
        ticks: [],
        offsets: before === undefined ? [] : [before],
        hasClockChange: false,
      }
      days.push(day)
    }
    day.ticks.push(tick)
    if (day.offsets.at(-1) !== tick.offset) day.offsets.push(tick.offset)
    if (tick.mark !== null || (before !== undefined && before !== tick.offset)) {
      day.hasClockChange = true
    }
    before = tick.offset
  }
  return days
}

/** Explains the mark of a tick, in words. */
export function describeMark(mark: NonNullable<UpcomingTick['mark']>): string {
  switch (mark) {
    case 'afterGap':
      return 'its own time is skipped by the clocks: due at the end of the gap'
    case 'repeatedHour':
      return 'the clocks show this hour twice'
    default:
      return mark satisfies never
  }
}

/** Writes a tick's local time as `04:00`, with seconds only if there are any. */
export function localClock({ local }: Pick<UpcomingTick, 'local'>): string {
  const clock = local.slice(11, 19)
  return clock.endsWith(':00') && clock.length === 8 ? clock.slice(0, 5) : clock
}
