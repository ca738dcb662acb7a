const WORDS: Readonly<Record<string, string>> = {
  run: 'asked for a run',
  dryRun: 'asked for a dry run',
  pause: 'paused the schedule',
  resume: 'resumed the schedule',
  cancel: 'cancelled it',
  approve: 'approved it',
  redrive: 'had it retried',
  discard: 'discarded it',
  pauseQueue: 'paused the queue',
  resumeQueue: 'resumed the queue',
  cancelWork: 'cancelled it while it waited',
  postponeWork: 'postponed it',
  prioritiseWork: 'changed its priority',
  setLimit: 'changed a limit',
  setKey: 'changed what counts for a key',
  showPayload: 'looked at the payload',
  reschedule: 'changed the schedule',
  backfill: 'had missed ticks run',
}

/** What somebody did, as the rest of a sentence that begins with who. */
export function actionInWords(action: string): string {
  return WORDS[action] ?? action
}
