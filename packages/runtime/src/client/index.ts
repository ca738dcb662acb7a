export { QueueSchemaError } from '../queue/boss.ts'
export { cancelRun, pauseJob, resumeJob, type Request } from './controlJobs.ts'
export {
  createJobsClient,
  type ApproveOutcome,
  type JobsClient,
  type JobsClientOptions,
} from './createJobsClient.ts'
