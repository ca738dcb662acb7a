export { QueueSchemaError } from '../queue/boss.ts'
export { createWorker, type Worker, type WorkerOptions } from './createWorker.ts'
export { migrateQueue } from './migrateQueue.ts'
export { runOnce, type FinishedRun, type RunOnceOptions, type RunOnceResult } from './runOnce.ts'
