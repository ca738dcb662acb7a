import type { Backlog } from '@roundsman/engine/internal'
import type { ConsoleBacklog } from '../contract.ts'

/** Work that has waited for less is just about to be taken. */
const BACKLOG_FROM_MS = 5_000

/** What has waited for some seconds, the longest first. */
export function presentBacklog(
  waiting: readonly Backlog[],
  isPaused: (name: string) => boolean,
  isUntaken: (name: string) => boolean,
): ConsoleBacklog[] {
  return waiting
    .filter(({ oldestMs }) => oldestMs >= BACKLOG_FROM_MS)
    .map((row) => ({ ...row, isPaused: isPaused(row.name), isUntaken: isUntaken(row.name) }))
}
