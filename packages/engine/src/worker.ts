// Before all else, which may need a newer Node to load.
import './nodeVersion.ts'
export type { Retention } from './control/pruneJobRuns.ts'
export { createWorker } from './worker/createWorker.ts'
export { type PgPool, type PgTransaction, run, type RunOptions } from './worker/run.ts'
export { PoolerError } from './database/findPooler.ts'
export { createPinger, type Pinger, type PingerOptions } from './run/createPinger.ts'
export type {
  ObservedRun,
  ObservedTick,
  RescuedRun,
  RunEnding,
  ObservedStep,
  RunObservation,
  WorkerObserver,
} from './run/observer.ts'
export {
  type FinishedRun,
  runOnce,
  type RunOnceOptions,
  type RunOnceResult,
} from './worker/runOnce.ts'
export type { Connections } from './database/database.ts'
export type { FullLimit } from './queue/limitSql.ts'
export type { Worker, WorkerOptions } from './worker/workerOptions.ts'
