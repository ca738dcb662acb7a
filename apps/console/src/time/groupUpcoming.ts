import type { ConsoleJobDetail } from '@roundsman/fastify/contract'

export type UpcomingTick = ConsoleJobDetail['upcoming'][number]

export interface UpcomingDay {
  /** `2026-11-24`, by the wall clock of the schedule's zone. */
  date: string
  ticks: UpcomingTick[]
  /** The offsets of its ticks, and that of the tick before it when the clocks have changed since. */
  offsets: string[]
  /** Whether the clocks of the zone change on this day, or changed since the tick before it. */
  hasClockChange: boolean
}

/** Ticks by the date that the zone's wall clock shows at them. */
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

/** What a mark says to a person. */
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

/** `04:00`, of a tick's local time, with seconds only where there are some. */
export function localClock({ local }: Pick<UpcomingTick, 'local'>): string {
  const clock = local.slice(11, 19)
  return clock.endsWith(':00') && clock.length === 8 ? clock.slice(0, 5) : clock
}
