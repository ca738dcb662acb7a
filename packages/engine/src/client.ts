export type { Request } from './control/controlJobs.ts'
export type { WhichWork, WorkOutcome } from './control/controlWork.ts'
export type { DiscardOutcome, RedriveOutcome, WhichLetters } from './control/deadLetters.ts'
export type { Actor } from './control/recordActions.ts'
export {
  type ApproveOutcome,
  createJobsClient,
  type JobsClient,
  type JobsClientOptions,
  type RunAgainOutcome,
} from './createJobsClient.ts'
export type { AwaitResultOptions, WorkResult } from './read/awaitResult.ts'
export { findOldestSnapshot, type SnapshotHolder } from './read/findOldestSnapshot.ts'
export { findManyWork, findWork, findWorkByKey, type WorkState } from './read/findWork.ts'
export {
  findJobRun,
  type FoundJobRun,
  type JobRunPage,
  type ListedJobRun,
  listJobRuns,
  type ListJobRunsOptions,
} from './read/jobRuns.ts'
export { type DeadLetter, type DeadLetterQuery, listDeadLetters } from './read/listDeadLetters.ts'
export { listWaitingWork, type WaitingWork, type WaitingWorkQuery } from './read/listWaitingWork.ts'
export { type ListedWorker, listWorkers } from './read/listWorkers.ts'
export { measureQueue, type QueueMeasure } from './read/measureQueue.ts'
export { type JobHealth, type JobProblem, readJobHealth } from './read/readJobHealth.ts'
export { readSchedules, type ScheduleRow } from './read/readSchedules.ts'
export { openReader, type PagePosition, type Reader, type ReaderOptions } from './read/reader.ts'
export type { Announcement, ChangesWatch } from './read/watchChanges.ts'
export type { DatabasePlace } from './store/connectionSettings.ts'
export { TablesError } from './store/tablesState.ts'
