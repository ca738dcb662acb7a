import { DANGEROUS_LOSSES, type Action } from './action.ts'

export interface ActionWords extends Words {
  /** Whether a reason is required; it is always possible. */
  needsReason: boolean
  isDangerous: boolean
}

interface Words {
  title: string
  /** What the action will do, and what it will not do. */
  explanation: string
  /** The text of the button that does it. */
  confirm: string
  done: string
  /** Default: true. */
  needsReason?: boolean
  /** Default: false. */
  isDangerous?: boolean
  /** The text of the box that a person has to check. */
  warning?: string
  /** The JSON that it asks for. */
  asksJson?: { label: string; hint: string }
  /** The number that it asks for, and what it is now; without one the code decides. */
  asks?: { label: string; min: number; max: number; step: number; now: number | null }
}

/** The words of the dialog for an action: what it does, what it leaves alone, and what to say once it is done. */
export function describeAction(action: Action): ActionWords {
  return { needsReason: true, isDangerous: false, ...wordsOf(action) }
}

function wordsOf(action: Action): Words {
  switch (action.kind) {
    case 'run':
      return describeRun(action)
    case 'pause':
      return {
        title: `Pause the schedule of ${action.name}`,
        explanation:
          'Its ticks are recorded as skipped until somebody resumes it. A run under way continues.',
        confirm: 'Pause the schedule',
        done: `The schedule of ${action.name} is paused`,
      }
    case 'resume':
      return {
        title: `Resume the schedule of ${action.name}`,
        explanation:
          'It continues with its next tick. Ticks that were skipped meanwhile are not run.',
        confirm: 'Resume the schedule',
        done: `The schedule of ${action.name} is resumed`,
        needsReason: false,
      }
    case 'cancel':
      return {
        title: `Cancel this run of ${action.name}`,
        explanation:
          'It stops within a second and ends as cancelled. Committed batches stay. Work that a program enqueued becomes a dead letter, to retry or discard.',
        confirm: 'Cancel the run',
        done: 'The run is asked to stop',
        isDangerous: true,
      }
    case 'approve':
      return {
        title: `Let ${action.name} change ${rows(action.due)}`,
        explanation: `Its guard stopped it because ${rows(action.due)} were due. Approving starts a run that may change as many, and no more. That cannot be undone.`,
        confirm: `Approve ${rows(action.due)}`,
        done: `${action.name} may change ${rows(action.due)}`,
        isDangerous: true,
      }
    case 'redrive':
      return {
        ...(action.losses >= DANGEROUS_LOSSES && {
          warning: `${action.label ?? 'This work'} has ended ${action.losses.toLocaleString('en')} workers, and I want it tried again although it may end another.`,
        }),
        title: `Retry a dead letter of ${action.name}`,
        explanation: `The same work goes back into the queue with its payload, key and label, and as many attempts as new work. It is no dead letter any more.${describeAgain(action)}`,
        confirm: 'Retry',
        done: 'It is back in the queue',
        isDangerous: action.losses >= DANGEROUS_LOSSES,
      }
    case 'answerDoubt': {
      const step = action.item === '' ? action.step : `${action.step} ${action.item}`
      return action.happened
        ? {
            title: `${step} has happened`,
            explanation: 'The work continues at once and does not call the step again.',
            confirm: 'It did happen',
            done: `The work goes on after ${step}`,
            asksJson: {
              label: 'Result, where the handler needs it',
              hint: 'As JSON, such as {"receipt": "r1"}. Empty: null.',
            },
          }
        : {
            title: `${step} has not happened`,
            explanation:
              'The work continues at once and calls the step again. If its effect has happened after all, it happens twice.',
            confirm: 'It did not happen',
            done: `${step} is called again`,
            isDangerous: true,
          }
    }
    case 'sendSignal':
      return {
        title: `Send ${action.signal} to work of ${action.name}`,
        explanation: `The oldest wait for ${action.signal} of ${action.key} ends, and its work continues at once. That cannot be undone.`,
        confirm: 'Send the signal',
        done: `The signal ${action.signal} is sent`,
        asksJson: {
          label: 'Payload',
          hint: 'What the handler gets, as JSON, such as {"by": "ada"}. Empty: {}.',
        },
      }
    case 'discard':
      return {
        title: `Discard a dead letter of ${action.name}`,
        explanation: 'The work is removed for good. The records of its runs stay.',
        confirm: 'Discard for good',
        done: 'The dead letter is discarded',
        needsReason: false,
        isDangerous: true,
      }
    case 'pauseQueue':
      return {
        title: `Pause the queue of ${action.name}`,
        explanation:
          'Workers take none of its work until somebody resumes it. New work waits. Runs under way continue, and so does the schedule.',
        confirm: 'Pause the queue',
        done: `The queue of ${action.name} is paused`,
      }
    case 'resumeQueue':
      return {
        title: `Resume the queue of ${action.name}`,
        explanation: 'Workers take the waiting work at once.',
        confirm: 'Resume the queue',
        done: `The queue of ${action.name} is resumed`,
        needsReason: false,
      }
    case 'runOfKey':
      return {
        title: `Run ${action.key} now`,
        explanation:
          'A worker starts a run with its payload at once. The times of the schedule do not change.',
        confirm: 'Run now',
        done: `A run of ${action.name} for ${action.key} is requested`,
      }
    case 'pauseKey':
      return {
        title: `Pause ${action.key}`,
        explanation:
          'Its ticks are recorded as skipped until somebody resumes it. A run under way continues, and so do the other schedules of the job.',
        confirm: 'Pause the schedule',
        done: `The schedule ${action.key} is paused`,
      }
    case 'resumeKey':
      return {
        title: `Resume ${action.key}`,
        explanation:
          'It continues with its next tick. Ticks that were skipped meanwhile are not run.',
        confirm: 'Resume the schedule',
        done: `The schedule ${action.key} is resumed`,
        needsReason: false,
      }
    case 'deleteKey':
      return {
        title: `Delete ${action.key}`,
        explanation:
          'It has no more ticks. Its past ticks and runs stay on record, and its waiting work still runs.',
        confirm: 'Delete the schedule',
        done: `The schedule ${action.key} is deleted`,
        isDangerous: true,
      }
    case 'pauseWorkOfKey':
      return {
        title: `Pause the work of ${action.key}`,
        explanation: `Workers take no work of ${action.name} with this key until somebody resumes it. Runs under way continue, and so do other keys.`,
        confirm: 'Pause the key',
        done: `The work of ${action.key} is paused`,
      }
    case 'resumeWorkOfKey':
      return {
        title: `Resume the work of ${action.key}`,
        explanation: 'Workers take the waiting work, as much as is its share.',
        confirm: 'Resume the key',
        done: `The work of ${action.key} is resumed`,
      }
    case 'unparkKey':
    case 'unparkLimit': {
      const what = action.kind === 'unparkKey' ? action.key : action.name
      return {
        title: `Try ${what} now`,
        explanation:
          'A service refused more runs until a given time. Runs start now, and wait again if the service refuses them.',
        confirm: 'Try now',
        done: `The work of ${what} no longer waits for the service`,
      }
    }
    case 'limitKey':
      return {
        title: `Limit the runs of ${action.key}`,
        explanation: `At most this many runs of ${action.name} with this key at once. Runs under way continue.`,
        confirm: 'Set the limit',
        done: `The limit of ${action.key} is set`,
        asks: { label: 'At once', min: 1, max: 1_000_000, step: 1, now: action.now },
      }
    case 'setLimit':
      return {
        title: `Limit ${action.name}`,
        explanation:
          'At most this many runs at once over all workers, also after a deployment. Runs under way continue.',
        confirm: 'Set the limit',
        done: `The limit of ${action.name} is set`,
        asks: { label: 'At once', min: 1, max: 1_000_000, step: 1, now: action.now },
      }
    default:
      return action satisfies never
  }
}

function describeRun({ name, dryRun, runId }: Action & { kind: 'run' }): Words {
  const isAgain = runId !== undefined
  if (dryRun) {
    return {
      title: `Dry run of ${name}`,
      explanation:
        'Database changes made through batches are rolled back. Mails and calls to other services really happen.',
      confirm: 'Start the dry run',
      done: `A dry run of ${name} is requested`,
    }
  }
  return {
    title: isAgain ? `Run ${name} again` : `Run ${name} now`,
    explanation: `${isAgain ? 'It is new work with the same payload. ' : ''}A worker starts it at once or, where it runs one at a time, after the one under way.`,
    confirm: isAgain ? 'Run again' : 'Run now',
    done: `A run of ${name} is requested`,
  }
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count.toLocaleString('en')} rows`
}

/** Which steps a retry from a step or from the beginning does again. */
function describeAgain({ from }: Action & { kind: 'redrive' }): string {
  if (from === undefined) return ''
  return ` These steps are done again, and services get other keys for them: ${from.again.join(', ')}.`
}
