export { QueueSchemaError } from '../queue/boss.ts'
export { QueueMissingError } from '../queue/enqueueWork.ts'
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
  type DeadLetter,
  type DeadLetterPosition,
  type DeadLetterQuery,
} from './deadLetters.ts'
export { findManyWork, findWork, type WorkState } from './findWork.ts'
