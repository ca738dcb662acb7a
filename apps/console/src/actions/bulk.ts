import type { Acted } from '@roundsman/admin/contract'
import { counted } from '../parts/Count.tsx'

/** What is done to waiting work. */
export type WorkChange = 'startWork' | 'postponeWork' | 'prioritiseWork' | 'cancelWork'

/** What is done to many at once, or to one as to many. */
export interface Bulk {
  what: 'redrive' | 'discard' | 'cancel' | WorkChange
  /** How many there are now. */
  count: number
  /** Whether there are more than that. */
  isMore?: boolean
  /** Whether it acts only on those that allow it, which only the server knows. */
  isAtMost?: boolean
  /** What they are, as the end of a sentence: `of callPartner that failed with partner_down`. */
  about: string
  which: BulkWhich
}

/** Which are meant, as POST /api/jobs/bulk takes it. */
export type BulkWhich =
  | { all: true }
  | { ids: readonly string[] }
  | Readonly<Record<string, unknown>>

/** The body of POST /api/jobs/bulk. `value`: milliseconds to postpone by, or a priority; other kinds need none. */
export function bulkRequest({ what, which }: Bulk, value: number, now: number) {
  switch (what) {
    case 'startWork':
      // Epoch 0 is past by any browser's and database's clock; an instant in the future would leave work delayed.
      return { kind: 'postponeWork', ...which, startAfter: new Date(0).toISOString() }
    case 'postponeWork':
      return { kind: what, ...which, startAfter: new Date(now + value).toISOString() }
    case 'prioritiseWork':
      return { kind: what, ...which, priority: value }
    case 'redrive':
    case 'discard':
    case 'cancel':
    case 'cancelWork':
      return { kind: what, ...which }
    default:
      return what satisfies never
  }
}

export interface BulkWords {
  title: string
  explanation: string
  confirm: string
  isDangerous: boolean
  /** What else it asks for. */
  asks?: 'delay' | 'priority'
}

/** The words of the dialog for an action on many things. */
export function describeBulk({ what, count, isMore, isAtMost, about }: Bulk): BulkWords {
  const isOne = count === 1
  const number = counted(count, isMore)
  const letters = `${number} ${isOne ? 'dead letter' : 'dead letters'}`
  const runs = `${number} ${isOne ? 'run' : 'runs'}`
  const work = isOne ? 'waiting work' : `${number} pieces of waiting work`
  const those = about === '' ? '' : ` ${about}`
  switch (what) {
    case 'redrive':
      if (isAtMost) {
        return {
          title: `Retry up to ${letters}`,
          explanation: `The work of ${isOne ? 'this run' : `these ${number} runs`} goes back into the queue if it is still a dead letter, with as many attempts as new work.`,
          confirm: 'Retry',
          isDangerous: false,
        }
      }
      return {
        title: `Retry ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${isOne ? 'goes' : 'go'} back into the queue, with as many attempts as new work.`,
        confirm: `Retry ${number}`,
        isDangerous: false,
      }
    case 'discard':
      return {
        title: `Discard ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${isOne ? 'is' : 'are'} removed for good. The records of their runs stay.`,
        confirm: `Discard ${number} for good`,
        isDangerous: true,
      }
    case 'cancel':
      return {
        title: `Cancel ${runs}`,
        explanation: `${upperFirst(runs)}${those} ${isOne ? 'stops' : 'stop'} within a second and ${isOne ? 'ends' : 'end'} as cancelled. Committed batches stay.`,
        confirm: `Cancel ${runs}`,
        isDangerous: true,
      }
    case 'startWork':
      return {
        title: `Start ${work} now`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'is' : 'are'} due at once, and ${isOne ? 'starts' : 'start'} as soon as a worker has room.`,
        confirm: isOne ? 'Start now' : `Start ${number} now`,
        isDangerous: false,
      }
    case 'postponeWork':
      return {
        title: `Postpone ${work}`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'starts' : 'start'} no sooner than that. Work that is due later does not change. Expiry times do not change.`,
        confirm: isOne ? 'Postpone' : `Postpone ${number}`,
        isDangerous: false,
        asks: 'delay',
      }
    case 'prioritiseWork':
      return {
        title: `Change the priority of ${work}`,
        explanation: `For ${work}${those}. Within a job, work with a higher priority starts first. New work has 0.`,
        confirm: isOne ? 'Change the priority' : `Change the priority of ${number}`,
        isDangerous: false,
        asks: 'priority',
      }
    case 'cancelWork':
      return {
        title: `Cancel ${work}`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'leaves' : 'leave'} the queue and will never start. The records of earlier attempts stay.`,
        confirm: isOne ? 'Cancel the work' : `Cancel ${number}`,
        isDangerous: true,
      }
    default:
      return what satisfies never
  }
}

/** What the calls of an act have come to. */
export type BulkResult = Omit<Acted, 'mark'>

export function addResult(before: BulkResult, { done, passed, left }: BulkResult): BulkResult {
  const sum = { ...before.passed }
  for (const [reason, count] of Object.entries(passed) as [keyof typeof passed, number][])
    sum[reason] = (sum[reason] ?? 0) + count
  return { done: before.done + done, passed: sum, left }
}

/** How many were looked at, and how many there are. The server counts no more than 10,000 that are left. */
export function progressOf({ done, passed, left }: BulkResult, count: number) {
  const looked = Object.values(passed).reduce((sum, one) => sum + one, done)
  return { done: looked, total: Math.max(looked + left, left < 10_000 ? 0 : count) }
}

/** Tells what came of it, without a full stop. */
export function describeDone(
  { what, count, isAtMost }: Pick<Bulk, 'what' | 'count' | 'isAtMost'>,
  result: BulkResult,
): string {
  const { done, passed } = result
  const progress = progressOf(result, count)
  const left = progress.total - progress.done
  const { alreadyQueued = 0, endedWorkers = 0, cancelled = 0 } = passed
  const { unknown = 0, locked = 0, unchanged = 0 } = passed
  const gone = isAtMost === true ? 0 : (passed.gone ?? 0)
  if (progress.done === 0 && left === 0) return 'Nothing was left to change'
  const number = done.toLocaleString('en')
  const letters = done === 1 ? 'dead letter is' : 'dead letters are'
  const work = done === 1 ? 'piece of work is' : 'pieces of work are'
  const parts = [
    what === 'redrive' && `${number} ${letters} back in the queue`,
    what === 'discard' && `${number} ${letters} discarded`,
    what === 'cancel' && `${number} ${done === 1 ? 'run is' : 'runs are'} asked to stop`,
    what === 'startWork' && `${number} ${work} due now`,
    what === 'postponeWork' && `${number} ${work} postponed`,
    what === 'prioritiseWork' &&
      `The priority of ${number} ${done === 1 ? 'piece' : 'pieces'} of work is changed`,
    what === 'cancelWork' && `${number} ${work} cancelled`,
    alreadyQueued > 0 &&
      `${alreadyQueued.toLocaleString('en')} stayed: other work has their unique key`,
    endedWorkers > 0 &&
      `${endedWorkers.toLocaleString('en')} stayed: workers died while they ran ${endedWorkers === 1 ? 'it, so retry it from its menu' : 'them, so retry each from its menu'}`,
    cancelled > 0 &&
      `${cancelled.toLocaleString('en')} stayed: somebody cancelled ${cancelled === 1 ? 'it, and its steps may be undone, so retry it from its menu' : 'them, and their steps may be undone, so retry each from its menu'}`,
    unknown > 0 && `${unknown.toLocaleString('en')} stayed: their job is not known here`,
    locked > 0 &&
      `${locked.toLocaleString('en')} passed over: another act or a worker had ${locked === 1 ? 'it' : 'them'} at that moment`,
    unchanged > 0 &&
      `${unchanged.toLocaleString('en')} already ${unchanged === 1 ? 'was' : 'were'}`,
    gone > 0 && `${gone.toLocaleString('en')} ${describeGone(what, gone)}`,
    left > 0 && `${left.toLocaleString('en')} not changed`,
  ]
  return parts.filter((part) => part !== false).join('; ')
}

/** Says why the server passed over pieces that had changed since the page was read. */
function describeGone(what: Bulk['what'], count: number): string {
  const isOne = count === 1
  switch (what) {
    case 'redrive':
    case 'discard':
      return isOne ? 'was already retried or discarded' : 'were already retried or discarded'
    case 'cancel':
      return 'had already ended'
    case 'cancelWork':
    case 'startWork':
    case 'postponeWork':
    case 'prioritiseWork':
      return 'had already started'
    default:
      return what satisfies never
  }
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
