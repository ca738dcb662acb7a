/** What is done to many at once. */
export interface Bulk {
  what: 'redrive' | 'discard' | 'cancel'
  /** How many, as of now. */
  count: number
  /** Whether there are more than that. */
  isMore?: boolean
  /** Whether only those of them are meant that can be, which the server finds out. */
  isAtMost?: boolean
  /** Of what they are, as the end of a sentence: `of callPartner that failed with partner_down`. */
  about: string
  target: BulkTarget
}

export type BulkTarget = { ids: readonly string[] } | ({ all: true } & Record<string, unknown>)

/** What the answers of several requests say together. */
export interface BulkProgress {
  done: number
  left: number
  alreadyQueued: number
  unknown: number
  notRunning: number
}

export const NOTHING_DONE: BulkProgress = {
  done: 0,
  left: 0,
  alreadyQueued: 0,
  unknown: 0,
  notRunning: 0,
}

/** One answer of the routes of many. */
export interface BulkAnswer {
  redriven?: number
  discarded?: number
  requested?: number
  alreadyQueued?: number
  unknown?: number
  notRunning?: number
  left?: number
  nextCursor?: string | null
}

export const BULK_PATHS: Readonly<Record<Bulk['what'], string>> = {
  redrive: '/jobs/dead-letters/redrive',
  discard: '/jobs/dead-letters/discard',
  cancel: '/jobs/runs/cancel',
}

export function addAnswer(before: BulkProgress, answer: BulkAnswer): BulkProgress {
  const { redriven = 0, discarded = 0, requested = 0 } = answer
  return {
    done: before.done + redriven + discarded + requested,
    left: answer.left ?? 0,
    alreadyQueued: before.alreadyQueued + (answer.alreadyQueued ?? 0),
    unknown: before.unknown + (answer.unknown ?? 0),
    notRunning: before.notRunning + (answer.notRunning ?? 0),
  }
}

export interface BulkWords {
  title: string
  explanation: string
  confirm: string
  /** While it works. */
  doing: string
  isDangerous: boolean
}

export function describeBulk({ what, count, isMore, isAtMost, about }: Bulk): BulkWords {
  const number = `${isMore ? 'more than ' : ''}${count.toLocaleString('en')}`
  const letters = `${number} ${count === 1 ? 'dead letter' : 'dead letters'}`
  const runs = `${number} ${count === 1 ? 'run' : 'runs'}`
  const those = about === '' ? '' : ` ${about}`
  switch (what) {
    case 'redrive':
      if (isAtMost) {
        return {
          title: `Redrive up to ${letters}`,
          explanation: `The work of ${count === 1 ? 'this run' : `these ${number} runs`}, as far as it is a dead letter still, goes back into the queue, with as many attempts as new work.`,
          confirm: 'Redrive',
          doing: 'Redriving',
          isDangerous: false,
        }
      }
      return {
        title: `Redrive ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${count === 1 ? 'goes' : 'go'} back into the queue, with as many attempts as new work.`,
        confirm: `Redrive ${number}`,
        doing: 'Redriving',
        isDangerous: false,
      }
    case 'discard':
      return {
        title: `Discard ${letters}`,
        explanation: `${upperFirst(letters)}${those} ${count === 1 ? 'is' : 'are'} removed for good. What their runs have recorded stays.`,
        confirm: `Discard ${number} for good`,
        doing: 'Discarding',
        isDangerous: true,
      }
    case 'cancel':
      return {
        title: `Cancel ${runs}`,
        explanation: `${upperFirst(runs)}${those} ${count === 1 ? 'hears' : 'hear'} of it within a second and ${count === 1 ? 'ends' : 'end'} as cancelled. The batches that they have committed stay.`,
        confirm: `Cancel ${runs}`,
        doing: 'Cancelling',
        isDangerous: true,
      }
    default:
      return what satisfies never
  }
}

/** What came of it, without a full stop. */
export function describeDone(what: Bulk['what'], progress: BulkProgress): string {
  const { done, alreadyQueued, unknown, notRunning, left } = progress
  const number = done.toLocaleString('en')
  const letters = done === 1 ? 'dead letter is' : 'dead letters are'
  const parts = [
    what === 'redrive' && `${number} ${letters} back in the queue`,
    what === 'discard' && `${number} ${letters} discarded`,
    what === 'cancel' && `${number} ${done === 1 ? 'run is' : 'runs are'} asked to stop`,
    alreadyQueued > 0 &&
      `${alreadyQueued.toLocaleString('en')} stayed, whose unique key other work holds`,
    unknown > 0 && `${unknown.toLocaleString('en')} stayed, whose job is not known here`,
    notRunning > 0 && `${notRunning.toLocaleString('en')} had ended`,
    left > 0 && `${left.toLocaleString('en')} left as they were`,
  ]
  return parts.filter((part) => part !== false).join('; ')
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}
