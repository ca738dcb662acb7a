export type { Retention } from './control/pruneJobRuns.ts'
export { TablesError } from './store/tablesState.ts'
export type { AlertOptions } from './alerts/createAlertWatcher.ts'
export { createWorker } from './createWorker.ts'
export type { Worker, WorkerOptions } from './worker/workerOptions.ts'
export type {
  ObservedRun,
  ObservedTick,
  RescuedRun,
  RunEnding,
  RunObservation,
  WorkerObserver,
} from './run/observer.ts'
export {
  MAX_MEASURED,
  measureQueue,
  QUEUE_STATES,
  type QueueMeasure,
  type QueueState,
} from './read/measureQueue.ts'
export { openReader, type Reader, type ReaderOptions } from './read/reader.ts'
export { readSchedules, type ScheduleRow } from './read/readSchedules.ts'
export {
  decideTicks,
  TICK_OUTCOMES,
  type TickDecision,
  type TickOutcome,
  type TickSituation,
} from './tick/decideTicks.ts'
export { dueTicks, type DueTicks } from './tick/dueTicks.ts'
export type { Connections } from './store/database.ts'
export { runOnce, type FinishedRun, type RunOnceOptions, type RunOnceResult } from './runOnce.ts'
export {
  createPinger,
  type Pinger,
  type PingerOptions,
  type PingEvent,
  type PingOutcome,
} from './run/createPinger.ts'
