const WORDS: Readonly<Record<string, string>> = {
  run: 'requested a run',
  dryRun: 'requested a dry run',
  pause: 'paused the schedule',
  resume: 'resumed the schedule',
  cancel: 'cancelled it',
  approve: 'approved it',
  redrive: 'retried it',
  discard: 'discarded it',
  pauseQueue: 'paused the queue',
  resumeQueue: 'resumed the queue',
  cancelWork: 'cancelled it before it started',
  postponeWork: 'postponed it',
  prioritiseWork: 'changed its priority',
  answerDoubt: 'said whether a step had happened',
  signal: 'sent a signal',
  setLimit: 'changed a limit',
  setKey: 'changed a key',
  showPayload: 'looked at the payload',
  reschedule: 'changed the schedule',
  backfill: 'requested runs of missed ticks',
}

/** What somebody did, as the rest of a sentence that begins with who. */
export function actionInWords(action: string): string {
  return WORDS[action] ?? action
}

const ALREADY: Readonly<Record<string, string>> = {
  pause: 'paused',
  pauseQueue: 'paused',
  resume: 'resumed',
  resumeQueue: 'resumed',
  cancel: 'cancelled',
  cancelWork: 'cancelled',
  approve: 'approved',
  redrive: 'retried',
  discard: 'discarded',
  answerDoubt: 'answered',
}

/** Returns `Already retried by admin@example.com`. */
export function alreadyInWords({ action, actor }: { action: string; actor: string }): string {
  return `Already ${ALREADY[action] ?? 'done'} by ${actor}`
}
