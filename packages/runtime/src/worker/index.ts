export { QueueSchemaError } from '../queue/boss.ts'
export { createWorker, type Worker, type WorkerOptions } from './createWorker.ts'
export type {
  ObservedRun,
  ObservedTick,
  RescuedRun,
  RunEnding,
  RunObservation,
  WorkerObserver,
} from './observer.ts'
export {
  MAX_MEASURED,
  measureQueue,
  QUEUE_STATES,
  type QueueMeasure,
  type QueueState,
} from '../client/measureQueue.ts'
export {
  decideTicks,
  TICK_OUTCOMES,
  type TickDecision,
  type TickOutcome,
  type TickSituation,
} from './decideTicks.ts'
export { dueTicks, type DueTicks } from './dueTicks.ts'
export type { Connections } from '../queue/database.ts'
export { migrateQueue } from './migrateQueue.ts'
export { runOnce, type FinishedRun, type RunOnceOptions, type RunOnceResult } from './runOnce.ts'
