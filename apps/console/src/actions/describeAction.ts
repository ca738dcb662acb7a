import type { Action, WhichWork } from './action.ts'

export interface ActionWords {
  title: string
  /** What it will do, and what it will not. */
  explanation: string
  /** On the button that does it. */
  confirm: string
  done: string
  /** Whether one has to be given; one may always be. */
  needsReason: boolean
  isDangerous: boolean
  /** What else it asks for. */
  asks?: 'delay' | 'priority'
}

export function describeAction(action: Action): ActionWords {
  switch (action.kind) {
    case 'run':
      return describeRun(action)
    case 'pause':
      return {
        title: `Pause ${action.name}`,
        explanation:
          'Its ticks are recorded as skipped until somebody resumes it. A run under way goes on.',
        confirm: 'Pause',
        done: `${action.name} is paused`,
        needsReason: true,
        isDangerous: false,
      }
    case 'resume':
      return {
        title: `Resume ${action.name}`,
        explanation: 'It goes on with its next tick. What was due meanwhile stays skipped.',
        confirm: 'Resume',
        done: `${action.name} is resumed`,
        needsReason: false,
        isDangerous: false,
      }
    case 'cancel':
      return {
        title: `Cancel this run of ${action.name}`,
        explanation:
          'It hears of it within a second and ends as failed. The batches that it has committed stay.',
        confirm: 'Cancel the run',
        done: 'The run is asked to stop',
        needsReason: true,
        isDangerous: true,
      }
    case 'approve':
      return {
        title: `Let ${action.name} change ${rows(action.due)}`,
        explanation: `Its guard stopped it because ${rows(action.due)} were due. Approving starts a run that may change as many, and no more. That cannot be undone.`,
        confirm: `Approve ${rows(action.due)}`,
        done: `${action.name} may change ${rows(action.due)}`,
        needsReason: true,
        isDangerous: true,
      }
    case 'redrive':
      return {
        title: `Redrive a dead letter of ${action.name}`,
        explanation: 'It goes back into the queue with as many attempts as new work.',
        confirm: 'Redrive',
        done: 'It is back in the queue',
        needsReason: true,
        isDangerous: false,
      }
    case 'redriveAll':
      return {
        title: `Redrive all dead letters of ${action.name}`,
        explanation: `All of them, ${action.count.toLocaleString('en')} as of now, go back into the queue with as many attempts as new work.`,
        confirm: 'Redrive all',
        done: `The dead letters of ${action.name} are back in the queue`,
        needsReason: true,
        isDangerous: false,
      }
    case 'discard':
      return {
        title: `Discard a dead letter of ${action.name}`,
        explanation: 'The work is removed for good. What its runs have recorded stays.',
        confirm: 'Discard for good',
        done: 'The dead letter is discarded',
        needsReason: false,
        isDangerous: true,
      }
    case 'pauseQueue':
      return {
        title: `Pause the queue of ${action.name}`,
        explanation:
          'No worker takes its work until somebody resumes it; what comes meanwhile waits. Runs under way go on, and so does its schedule.',
        confirm: 'Pause the queue',
        done: `The queue of ${action.name} is paused`,
        needsReason: true,
        isDangerous: false,
      }
    case 'resumeQueue':
      return {
        title: `Resume the queue of ${action.name}`,
        explanation: 'Workers take what has waited at once.',
        confirm: 'Resume the queue',
        done: `The queue of ${action.name} is resumed`,
        needsReason: false,
        isDangerous: false,
      }
    case 'cancelWork':
      return {
        title: `Cancel ${pieces(action)}`,
        explanation:
          'It leaves the queue and will never start. What its earlier attempts have recorded stays.',
        confirm: action.count === 1 ? 'Cancel the work' : `Cancel all ${number(action.count)}`,
        done: 'Cancelled',
        needsReason: true,
        isDangerous: true,
      }
    case 'startWork':
      return {
        title: `Start ${pieces(action)} now`,
        explanation:
          'It is due at once, whatever it was waiting for, and starts as soon as a worker has room.',
        confirm: 'Start now',
        done: 'Due now',
        needsReason: true,
        isDangerous: false,
      }
    case 'postponeWork':
      return {
        title: `Postpone ${pieces(action)}`,
        explanation:
          'What is due later than that anyway stays as it is. When work expires stays as it is, too.',
        confirm: action.count === 1 ? 'Postpone' : `Postpone all ${number(action.count)}`,
        done: 'Postponed',
        needsReason: true,
        isDangerous: false,
        asks: 'delay',
      }
    case 'prioritiseWork':
      return {
        title: `Change the priority of ${pieces(action)}`,
        explanation:
          'Of the work of one job, what has a higher priority starts first. New work has 0.',
        confirm: 'Change the priority',
        done: 'The priority is changed',
        needsReason: true,
        isDangerous: false,
        asks: 'priority',
      }
    default:
      return action satisfies never
  }
}

function describeRun({ name, dryRun, runId }: Action & { kind: 'run' }): ActionWords {
  const isAgain = runId !== undefined
  const words = { needsReason: true, isDangerous: false }
  if (dryRun) {
    return {
      ...words,
      title: `Dry run of ${name}`,
      explanation: 'It counts what it would change, and changes nothing.',
      confirm: 'Start the dry run',
      done: `A dry run of ${name} is requested`,
    }
  }
  return {
    ...words,
    title: isAgain ? `Run ${name} again` : `Run ${name} now`,
    explanation:
      'A worker starts it at once or, where it runs one at a time, after the one under way.',
    confirm: isAgain ? 'Run again' : 'Run now',
    done: `A run of ${name} is requested`,
  }
}

/** Such as `1,234 pieces of work of syncOrder with the label Order 7`. */
function pieces({ name, which, count }: Extract<Action, { which: WhichWork }>): string {
  if (count === 1 && 'ids' in which) return `waiting work of ${name}`
  const label = 'label' in which ? ` labelled ${which.label}` : ''
  return `all waiting work of ${name}${label}: ${number(count)} as of now`
}

function number(count: number): string {
  return count.toLocaleString('en')
}

function rows(count: number): string {
  return count === 1 ? '1 row' : `${count.toLocaleString('en')} rows`
}
