export { createJobsClient, type JobsClient } from './createJobsClient.ts'
