export { QueueSchemaError } from '../queue/boss.ts'
export { QueueMissingError } from '../queue/enqueueWork.ts'
export type { Actor, JobActionKind } from './recordActions.ts'
export { cancelRun, pauseJob, resumeJob, type Request } from './controlJobs.ts'
export {
  createJobsClient,
  type ApproveOutcome,
  type JobsClient,
  type JobsClientOptions,
} from './createJobsClient.ts'
export {
  discardDeadLetter,
  findDeadLetterName,
  listDeadLetters,
  redriveDeadLetters,
  redriveWork,
  type DeadLetter,
  type DeadLetterPosition,
  type DeadLetterQuery,
  type RedriveOutcome,
} from './deadLetters.ts'
export { isAnyWorkerAlive } from './isAnyWorkerAlive.ts'
export { listWorkers, type ListedWorker } from './listWorkers.ts'
export { countQueue, type QueueCounts } from './countQueue.ts'
export {
  MAX_MEASURED,
  measureQueue,
  QUEUE_STATES,
  type QueueMeasure,
  type QueueState,
} from './measureQueue.ts'
export { RUNNING_RUNS } from '../queue/runningRuns.ts'
export { watchChanges, type Announcement, type ChangesWatch } from './watchChanges.ts'
export { findEnqueuedAt } from './findEnqueuedAt.ts'
export { findManyWork, findWork, findWorkByKey, type WorkState } from './findWork.ts'
