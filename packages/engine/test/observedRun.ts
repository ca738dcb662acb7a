import type { ObservedRun } from '../src/run/observer.ts'

/** A first attempt, as observers are told of it. */
export const OBSERVED_RUN: ObservedRun = {
  id: 'r1',
  name: 'cleanupI18nCache',
  trigger: 'queue',
  attempt: 1,
  retriesLeft: 0,
  scheduledFor: null,
  dryRun: false,
  workId: null,
  startedAt: new Date(),
  trace: null,
}
