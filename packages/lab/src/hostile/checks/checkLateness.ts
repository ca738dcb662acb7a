import { distribution, type Distribution } from '../../statistics.ts'
import type { Gap } from '../createHostileFleet.ts'
import { INNOCENTS } from '../hostileJobs.ts'
import type { Check, Evidence, RunRow, Seen } from './checkHostile.ts'

/** Of innocent work enqueued beside outcomes, beside the deadly ones, and of what a crash had caught. */
type LatenessKind = 'outcomes' | 'deadly' | 'caught'
export type LatenessByKind = Record<LatenessKind, Distribution>

/** How late work may end. Work that a crash caught waits, with back-off, until it may run alone; other work does not. */
const MAX_LATE_MS: Record<LatenessKind, number> = {
  outcomes: 10_000,
  deadly: 120_000,
  caught: 300_000,
}

/**
 * How late innocent work began to succeed. Beside outcomes, the time does not count in which a worker stood still or was
 * restarted. Beside the deadly ones that would be most of the time, so that all of it counts.
 */
export function measureLateness(
  attemptsByWork: Seen['attemptsByWork'],
  { from, deadlyFrom, fleet }: Evidence,
): LatenessByKind {
  const late: Record<LatenessKind, number[]> = { outcomes: [], deadly: [], caught: [] }
  const gaps = fleet.gaps.toSorted((one, other) => one.from - other.from)
  for (const attempts of attemptsByWork.values()) {
    const success = attempts.find(({ status }) => status === 'success')
    const [first] = attempts
    if (!success || !first || !INNOCENTS.includes(first.name)) continue
    // A tick is due at its instant. The lateness of other work counts from its id, which says when it was enqueued.
    const dueAt = (first.scheduledFor ?? enqueuedAt(first)).getTime()
    if (dueAt < from) continue
    const startedAt = success.startedAt.getTime()
    const kind = attempts.length > 1 ? 'caught' : dueAt < deadlyFrom ? 'outcomes' : 'deadly'
    const excusedMs = kind === 'outcomes' ? overlap(gaps, dueAt, startedAt) : 0
    late[kind].push(Math.max(0, startedAt - dueAt - excusedMs))
  }
  return {
    outcomes: distribution(late.outcomes),
    deadly: distribution(late.deadly),
    caught: distribution(late.caught),
  }
}

/** A version 7 UUID contains the time at which it was made. */
function enqueuedAt({ workId }: RunRow): Date {
  return new Date(Number.parseInt(workId.replaceAll('-', '').slice(0, 12), 16))
}

/** For how much of the time at least one worker could do nothing. */
function overlap(gaps: readonly Gap[], from: number, to: number): number {
  let sum = 0
  let until = from
  for (const gap of gaps) {
    if (gap.from >= to) break
    const start = Math.max(gap.from, until)
    const end = Math.min(gap.to, to)
    if (end > start) {
      sum += end - start
      until = end
    }
  }
  return sum
}

export const checkLateness: Check = ({ lateness: { outcomes, deadly, caught } }) => {
  const show = ({ count, p50Ms, p99Ms, maxMs }: Distribution) =>
    `${p50Ms} / ${p99Ms} / ${maxMs} ms (${count})`
  return {
    guarantee: 'G9',
    name: `innocent work started in time, but for the guilty one's blocking and the restarts it caused`,
    isPassed:
      outcomes.maxMs <= MAX_LATE_MS.outcomes &&
      deadly.maxMs <= MAX_LATE_MS.deadly &&
      caught.maxMs <= MAX_LATE_MS.caught,
    figures:
      `late by p50 / p99 / at most ${show(outcomes)}; beside what ends its process ${show(deadly)}; ` +
      `of what a crash had caught ${show(caught)}; ` +
      `allowed ${MAX_LATE_MS.outcomes}, ${MAX_LATE_MS.deadly} and ${MAX_LATE_MS.caught} ms`,
  }
}
