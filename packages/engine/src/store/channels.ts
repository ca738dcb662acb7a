/** NOTIFY channels of our own, beside pg-boss's. */

/** Payload: the id of a run that somebody wants to stop. */
export const CANCEL_CHANNEL = 'roundsman_cancel'

/** Payload: an Announcement as JSON. For those who watch; nothing depends on its arrival. */
export const CHANGES_CHANNEL = 'roundsman_changes'

export interface Announcement {
  /** Runs that have started, progressed or ended; not all of them when there were many. */
  ids: string[]
  /** All jobs that those runs are of. */
  names: string[]
  /** Jobs of which ticks were decided. */
  ticks: string[]
}
