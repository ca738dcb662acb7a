export { TablesError } from './store/tablesState.ts'
export type { Actor, JobActionKind } from './control/recordActions.ts'
export type { Request } from './control/controlJobs.ts'
export {
  CLIENT_PROTOCOL,
  createJobsClient,
  type ApproveOutcome,
  type JobsClient,
  type JobsClientOptions,
  type RunAgainOutcome,
} from './createJobsClient.ts'
export type { WhichWork, WorkOutcome } from './control/controlWork.ts'
export {
  countWaitingWork,
  listWaitingWork,
  sumWaitingWork,
  type WaitingWork,
  type WaitingWorkQuery,
} from './read/listWaitingWork.ts'
export {
  countHeedlessWorkers,
  jobsWithoutWorker,
  readPausedQueues,
  withOtherJobs,
  type PausedQueue,
} from './read/readQueues.ts'
export { listOrphanedWork, type OrphanedWork } from './read/listOrphanedWork.ts'
export type { AwaitResultOptions, WorkResult } from './read/awaitResult.ts'
export type { DatabasePlace } from './store/connectionSettings.ts'
export type { DiscardOutcome, RedriveOutcome, WhichLetters } from './control/deadLetters.ts'
export { bulkCancel, type BulkCancel, type Which } from './bulkCancel.ts'
export {
  countDeadLettersByCause,
  countLettersOfRuns,
  findDeadLetterName,
  listDeadLetterCodes,
  listDeadLetters,
  MAX_COUNTED_LETTERS,
  type DeadLetter,
  type DeadLetterCause,
  type DeadLetterCode,
  type DeadLetterFilter,
  type DeadLetterQuery,
} from './read/listDeadLetters.ts'
export {
  findOldestSnapshot,
  isSnapshotOld,
  nameSnapshotHolder,
  type SnapshotHolder,
} from './read/findOldestSnapshot.ts'
export { findLastSign, findWorker, listWorkers, type ListedWorker } from './read/listWorkers.ts'
export {
  countQueue,
  MAX_MEASURED,
  measureQueue,
  QUEUE_STATES,
  type QueueCounts,
  type QueueMeasure,
  type QueueState,
} from './read/measureQueue.ts'
export {
  findJobRun,
  listJobRuns,
  listOtherAttempts,
  MAX_LOOKED_AT,
  RUN_STATUSES,
  type FoundJobRun,
  type JobRunPage,
  type ListedJobRun,
  type ListJobRunsOptions,
  type RunAttempt,
  type RunStatus,
} from './read/jobRuns.ts'
export { RUN_OUTCOMES, runOutcome, type RunOutcome } from './read/runOutcome.ts'
export {
  openReader,
  type PagePosition,
  type Reader,
  type ReaderOptions,
  type Statement,
} from './read/reader.ts'
export {
  listJobTicks,
  listRecentTicks,
  type JobTickPage,
  type ListedJobTick,
  type ListJobTicksOptions,
  type RecentTick,
} from './read/jobTicks.ts'
export { listRecentRuns, type RecentRun, type RecentRunsOptions } from './read/recentRuns.ts'
export { readSchedules, type ScheduleRow } from './read/readSchedules.ts'
export {
  searchRuns,
  type ErrorMatch,
  type LabelMatch,
  type Matches,
  type RunMatch,
} from './read/search.ts'
export { slowLimitMs } from './read/judgeRun.ts'
export { judgeSchedule } from './read/judgeSchedule.ts'
export { readJobHealth, type JobHealth, type JobProblem } from './read/readJobHealth.ts'
export { listJobActions, listRunActions, type ListedAction } from './read/jobActions.ts'
export { listLanesInUse, type LanesInUse } from './read/runsUnderWay.ts'
export { listFailures, type FailedRun } from './read/listFailures.ts'
export {
  listRecentFailures,
  sampleFailures,
  type HourOfFailures,
  type RecentFailures,
  type RunShare,
} from './read/failureRates.ts'
export { measureBacklog, type Backlog } from './read/measureBacklog.ts'
export {
  countRuns,
  findOldestStart,
  measureDuration,
  tallyDurationsByHour,
  type HourOfDurations,
  type SpanOfRuns,
  type UsualDuration,
} from './read/countRuns.ts'
export {
  listRunCounts,
  sampleRuns,
  type RunCounts,
  type RunPoint,
  type RunSample,
  type SampleOptions,
} from './read/sampleRuns.ts'
export {
  listWorkerRuns,
  type WorkerRun,
  type WorkerRuns,
  type WorkerRunsOptions,
} from './read/workerRuns.ts'
export { RUNS_UNDER_WAY } from './store/heldRuns.ts'
export type { Announcement, ChangesWatch } from './read/watchChanges.ts'
export { findWorkOfRun, type WorkOfRun } from './read/findWorkOfRun.ts'
export { countEqualFailures, type EqualFailures } from './read/countEqualFailures.ts'
export type { KeptLine, KeptLog, LogLevel } from './run/runLog.ts'
export {
  findEnqueuedAt,
  findManyWork,
  findWork,
  findWorkByKey,
  type WorkState,
} from './read/findWork.ts'
