import type { ConsoleAttention, ConsoleOverview } from '@roundsman/fastify/contract'
import { formatRoughDuration } from '../../time/formatDuration.ts'

export interface OverviewSentence {
  tone: 'good' | 'warn' | 'bad'
  text: string
}

/** What a person should know first. The worst thing leads; the others are counted. */
export function describeOverview(
  { attention, jobs }: Pick<ConsoleOverview, 'attention' | 'jobs'>,
  now: number,
): OverviewSentence {
  const [first, ...others] = attention.toSorted(bySeverity)
  if (first === undefined) return { tone: 'good', text: whenAllIsWell(jobs) }
  const more = others.length === 0 ? '' : `, and ${otherThings(others.length)}`
  return { tone: weight(first) < WARN_FROM ? 'bad' : 'warn', text: sayFirst(first, now) + more }
}

/** The worst first; what is as bad stays in its order. */
export function bySeverity(a: ConsoleAttention, b: ConsoleAttention): number {
  return weight(a) - weight(b)
}

/** Bad below, a warning from here on. */
const WARN_FROM = 3

function weight({ kind }: ConsoleAttention): number {
  return ['noWorker', 'late', 'failed', 'blocked', 'overrunning', 'deadLetters'].indexOf(kind)
}

function whenAllIsWell({ total, paused }: ConsoleOverview['jobs']): string {
  if (total === 0) return 'There are no jobs yet'
  if (paused === 0) return total === 1 ? 'The one job is on time' : `All ${total} jobs on time`
  return `${total - paused} of ${total} jobs on time, ${paused} paused`
}

function sayFirst(item: ConsoleAttention, now: number): string {
  switch (item.kind) {
    case 'noWorker':
      return item.since === null
        ? 'No worker is running'
        : `No worker has been running for ${since(item.since, now)}`
    case 'late':
      return `${item.name} is ${since(item.since, now)} late`
    case 'failed':
      return `The last run of ${item.name} failed`
    case 'blocked':
      return `${item.name} waits for an approval`
    case 'overrunning':
      return `${item.name} has been running for ${since(item.since, now)}`
    case 'deadLetters':
      return item.count === 1
        ? `${item.name} has 1 dead letter`
        : `${item.name} has ${item.count.toLocaleString('en')} dead letters`
    default:
      return item satisfies never
  }
}

function since(instant: string, now: number): string {
  return formatRoughDuration(now - new Date(instant).getTime())
}

function otherThings(count: number): string {
  return count === 1 ? 'one other thing needs you' : `${count} other things need you`
}
