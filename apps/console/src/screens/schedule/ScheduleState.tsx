import type { KeyedSchedule } from '@roundsman/admin/contract'

/** Whether a schedule goes on, in a word. */
export function ScheduleState({ schedule }: { schedule: KeyedSchedule }) {
  if (schedule.isRefused) return <span className="badge isLate">Payload refused</span>
  if (schedule.paused !== null) return <span className="badge isPaused">Paused</span>
  if (schedule.isLate) return <span className="badge isLate">Late</span>
  return <span className="muted">{schedule.nextAt === null ? 'Over' : 'On time'}</span>
}
