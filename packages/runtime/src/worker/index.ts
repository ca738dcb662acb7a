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
export { TICK_OUTCOMES, type TickOutcome } from './decideTicks.ts'
export type { Connections } from '../queue/database.ts'
export { migrateQueue } from './migrateQueue.ts'
export { runOnce, type FinishedRun, type RunOnceOptions, type RunOnceResult } from './runOnce.ts'
