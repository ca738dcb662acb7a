/** What is done to waiting work. */
export type WorkChange = 'startWork' | 'postponeWork' | 'prioritiseWork' | 'cancelWork'

/** What is done to many at once, or to one as to many. */
export interface Bulk {
  what: 'redrive' | 'redriveRuns' | 'discard' | 'cancel' | WorkChange
  /** How many there are now. */
  count: number
  /** Whether there are more than that. */
  isMore?: boolean
  /** Whether it acts only on those that allow it, which only the server knows. */
  isAtMost?: boolean
  /** What they are, as the end of a sentence: `of callPartner that failed with partner_down`. */
  about: string
  /** One request after the other: the server takes waiting work of one job at a time. */
  targets: readonly BulkTarget[]
}

export type BulkTarget = Readonly<Record<string, unknown>> &
  ({ ids: readonly string[] } | { all: true } | { label: string })

/** The sum of the answers to several requests. */
export interface BulkProgress {
  done: number
  left: number
  alreadyQueued: number
  endedWorkers: number
  unknown: number
  notRunning: number
}

export const NOTHING_DONE: BulkProgress = {
  done: 0,
  left: 0,
  alreadyQueued: 0,
  endedWorkers: 0,
  unknown: 0,
  notRunning: 0,
}

/** An answer of a route that acts on many. */
export interface BulkAnswer {
  done?: number
  redriven?: number
  discarded?: number
  requested?: number
  alreadyQueued?: number
  endedWorkers?: number
  unknown?: number
  notRunning?: number
  left?: number
  nextCursor?: string | null
}

export const BULK_PATHS: Readonly<Record<Bulk['what'], string>> = {
  redrive: '/jobs/dead-letters/redrive',
  redriveRuns: '/jobs/runs/redrive',
  discard: '/jobs/dead-letters/discard',
  cancel: '/jobs/runs/cancel',
  startWork: '/jobs/work/postpone',
  postponeWork: '/jobs/work/postpone',
  prioritiseWork: '/jobs/work/prioritise',
  cancelWork: '/jobs/work/cancel',
}

/** What the requests say beside their targets: `value` is milliseconds to postpone by, or a priority. */
export function bulkDetails(what: Bulk['what'], value: number, now: number) {
  switch (what) {
    case 'startWork':
      // Long past by the clock of any browser and database: of a future instant, however close, delayed work is left.
      return { startAfter: new Date(0).toISOString() }
    case 'postponeWork':
      return { startAfter: new Date(now + value).toISOString() }
    case 'prioritiseWork':
      return { priority: value }
    case 'redrive':
    case 'redriveRuns':
    case 'discard':
    case 'cancel':
    case 'cancelWork':
      return {}
    default:
      return what satisfies never
  }
}

/** Whether the same target has to be asked for again. Of waiting work, what somebody else is changing is left. */
export function isUnfinished({ nextCursor, done = 0, left = 0 }: BulkAnswer): boolean {
  return nextCursor === undefined ? done > 0 && left > 0 : nextCursor !== null
}

/** Adds an answer to what earlier requests have done. `left` is the last answer's. */
export function addAnswer(before: BulkProgress, answer: BulkAnswer): BulkProgress {
  const { done = 0, redriven = 0, discarded = 0, requested = 0 } = answer
  return {
    done: before.done + done + redriven + discarded + requested,
    left: answer.left ?? 0,
    alreadyQueued: before.alreadyQueued + (answer.alreadyQueued ?? 0),
    endedWorkers: before.endedWorkers + (answer.endedWorkers ?? 0),
    unknown: before.unknown + (answer.unknown ?? 0),
    notRunning: before.notRunning + (answer.notRunning ?? 0),
  }
}

export interface BulkWords {
  title: string
  explanation: string
  confirm: string
  /** The title while it works. */
  doing: string
  isDangerous: boolean
  /** What else it asks for. */
  asks?: 'delay' | 'priority'
}

/** The words of the dialog for an action on many things. */
export function describeBulk({ what, count, isMore, isAtMost, about }: Bulk): BulkWords {
  const isOne = count === 1
  const number = `${isMore ? 'more than ' : ''}${count.toLocaleString('en')}`
  const letters = `${number} ${isOne ? 'dead letter' : 'dead letters'}`
  const runs = `${number} ${isOne ? 'run' : 'runs'}`
  const work = isOne ? 'waiting work' : `${number} pieces of waiting work`
  const those = about === '' ? '' : ` ${about}`
  switch (what) {
    case 'redrive':
    case 'redriveRuns':
      if (isAtMost) {
        return {
          title: `Retry up to ${letters}`,
          explanation: `The work of ${isOne ? 'this run' : `these ${number} runs`}, as far as it is a dead letter still, goes back into the queue, with as many attempts as new work.`,
          confirm: 'Retry',
          doing: 'Retrying',
          isDangerous: false,
        }
      }
      return {
        title: `Retry ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${isOne ? 'goes' : 'go'} back into the queue, with as many attempts as new work.`,
        confirm: `Retry ${number}`,
        doing: 'Retrying',
        isDangerous: false,
      }
    case 'discard':
      return {
        title: `Discard ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${isOne ? 'is' : 'are'} removed for good. What their runs have recorded stays.`,
        confirm: `Discard ${number} for good`,
        doing: 'Discarding',
        isDangerous: true,
      }
    case 'cancel':
      return {
        title: `Cancel ${runs}`,
        explanation: `${upperFirst(runs)}${those} ${isOne ? 'hears' : 'hear'} of it within a second and ${isOne ? 'ends' : 'end'} as cancelled. The batches that they have committed stay.`,
        confirm: `Cancel ${runs}`,
        doing: 'Cancelling',
        isDangerous: true,
      }
    case 'startWork':
      return {
        title: `Start ${work} now`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'is' : 'are'} due at once, and ${isOne ? 'starts' : 'start'} as soon as a worker has room.`,
        confirm: isOne ? 'Start now' : `Start ${number} now`,
        doing: 'Changing',
        isDangerous: false,
      }
    case 'postponeWork':
      return {
        title: `Postpone ${work}`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'starts' : 'start'} no sooner than that. What is due later anyway stays as it is, and so does when work expires.`,
        confirm: isOne ? 'Postpone' : `Postpone ${number}`,
        doing: 'Postponing',
        isDangerous: false,
        asks: 'delay',
      }
    case 'prioritiseWork':
      return {
        title: `Change the priority of ${work}`,
        explanation: `For ${work}${those}. Of the work of one job, what has a higher priority starts first; new work has 0.`,
        confirm: isOne ? 'Change the priority' : `Change the priority of ${number}`,
        doing: 'Changing',
        isDangerous: false,
        asks: 'priority',
      }
    case 'cancelWork':
      return {
        title: `Cancel ${work}`,
        explanation: `${upperFirst(work)}${those} ${isOne ? 'leaves' : 'leave'} the queue and will never start. What earlier attempts have recorded stays.`,
        confirm: isOne ? 'Cancel the work' : `Cancel ${number}`,
        doing: 'Cancelling',
        isDangerous: true,
      }
    default:
      return what satisfies never
  }
}

/** Tells the result, without a full stop. `asked` is how many were asked for one by one; undefined when nobody knows. */
export function describeDone(what: Bulk['what'], progress: BulkProgress, asked = 0): string {
  const { done, alreadyQueued, endedWorkers, unknown, notRunning, left } = progress
  const gone = asked - countSettled(progress) - left
  const number = done.toLocaleString('en')
  const letters = done === 1 ? 'dead letter is' : 'dead letters are'
  const work = done === 1 ? 'piece of work is' : 'pieces of work are'
  const parts = [
    (what === 'redrive' || what === 'redriveRuns') && `${number} ${letters} back in the queue`,
    what === 'discard' && `${number} ${letters} discarded`,
    what === 'cancel' && `${number} ${done === 1 ? 'run is' : 'runs are'} asked to stop`,
    what === 'startWork' && `${number} ${work} due now`,
    what === 'postponeWork' && `${number} ${work} postponed`,
    what === 'prioritiseWork' &&
      `The priority of ${number} ${done === 1 ? 'piece' : 'pieces'} of work is changed`,
    what === 'cancelWork' && `${number} ${work} cancelled`,
    alreadyQueued > 0 &&
      `${alreadyQueued.toLocaleString('en')} stayed: other work holds their unique key`,
    endedWorkers > 0 &&
      `${endedWorkers.toLocaleString('en')} stayed: workers have died of ${endedWorkers === 1 ? 'it' : 'them'}, so retry ${endedWorkers === 1 ? 'it by itself' : 'each by itself'}`,
    unknown > 0 && `${unknown.toLocaleString('en')} stayed: their job is not known here`,
    notRunning > 0 && `${notRunning.toLocaleString('en')} had ended`,
    gone > 0 && `${gone.toLocaleString('en')} ${describeGone(what, gone)}`,
    left > 0 && `${left.toLocaleString('en')} left as they were`,
  ]
  return parts.filter((part) => part !== false).join('; ')
}

/** How many there is nothing left to do about. */
export function countSettled(progress: BulkProgress): number {
  const { done, alreadyQueued, endedWorkers, unknown, notRunning } = progress
  return done + alreadyQueued + endedWorkers + unknown + notRunning
}

/** What has become of those that the server found changed when it was asked. */
function describeGone(what: Bulk['what'], count: number): string {
  const isOne = count === 1
  switch (what) {
    case 'redrive':
    case 'redriveRuns':
    case 'discard':
      return isOne ? 'was no dead letter any more' : 'were no dead letters any more'
    case 'cancel':
    case 'cancelWork':
      return 'waited no more'
    case 'startWork':
    case 'postponeWork':
    case 'prioritiseWork':
      return isOne ? 'waited no more, or was so already' : 'waited no more, or were so already'
    default:
      return what satisfies never
  }
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
