// First, since the imports below may need a newer Node to load.
import './nodeVersion.ts'
export { getJobHealth, type JobHealth, listProblems } from './judge/judgeJobs.ts'
export type { Problem, ProblemKind, ProblemStage } from './judge/problem.ts'
export type { ActOnManyOutcome, ActOnManyRequest, PassedReason } from './control/actOnMany.ts'
export type { ActionRequest, ApproveOutcome } from './control/controlJobs.ts'
export type { KeySettings, LimitSettings, WhichLimit } from './control/controlLimits.ts'
export type { DoubtAnswer, DoubtfulStep } from './control/answerDoubt.ts'
export type { WhichWork, WorkOutcome } from './control/controlWork.ts'
export type { BackfillOutcome, BackfillRequest } from './control/backfillSchedule.ts'
export type { KeyedSchedule } from './control/checkSchedules.ts'
export type { PreviewedTick, PreviewQuery } from './control/previewSchedule.ts'
export type { UpsertedSchedule } from './control/upsertSchedules.ts'
export type {
  DiscardOutcome,
  RedriveOutcome,
  RedriveRequest,
  WhichLetters,
} from './control/deadLetters.ts'
export type { Actor } from './queue/recordActions.ts'
export type { ShownPayload, WhosePayload, WhoseResult } from './control/showPayload.ts'
export {
  type ActionOptions,
  createJobsClient,
  type JobsClient,
  type JobsClientOptions,
  type KeyedSchedules,
  type Keys,
  type Limits,
  type RunAgainOutcome,
} from './client/createJobsClient.ts'
export type { AwaitResultOptions, WorkResult } from './read/awaitResult.ts'
export type { WaitReason, WaitReasonKind, WorkExplanation } from './read/explainWork.ts'
export { getOldestSnapshot, type SnapshotHolder } from './read/getOldestSnapshot.ts'
export { getManyWork, getWork, getWorkByKey, type WorkState } from './read/getWork.ts'
export {
  getJobRun,
  type FoundJobRun,
  type JobRunPage,
  type ListedJobRun,
  listJobRuns,
  type ListJobRunsOptions,
} from './read/jobRuns.ts'
export { type DeadLetter, type DeadLetterQuery, listDeadLetters } from './read/listDeadLetters.ts'
export { listSteps, type ListedStep, type StepChildren } from './read/listSteps.ts'
export { listWaitingWork, type WaitingWork, type WaitingWorkQuery } from './read/listWaitingWork.ts'
export { type ListedWorker, listWorkers } from './read/listWorkers.ts'
export { getQueueStats, type QueueStats } from './read/getQueueStats.ts'
export type { KeyedTickPage, KeyedTickRow } from './read/jobTicks.ts'
export type {
  KeyedTickQuery,
  ListedSchedule,
  SchedulePage,
  ScheduleQuery,
} from './read/listKeyedSchedules.ts'
export type { FoundKey, KeyPage, KeyPause, KeyQuery, ListedKey } from './read/listKeys.ts'
export type { ListedLimit, SlotHolder } from './read/listLimits.ts'
export { listSchedules, type ScheduleRow } from './read/listSchedules.ts'
export {
  openReader,
  type PagePosition,
  type JobsReader,
  type ReaderOptions,
} from './read/reader.ts'
export type { Announcement, ChangesWatch } from './read/watchChanges.ts'
export type { DatabasePlace } from './arguments/connection.ts'
export { TablesError } from './database/tablesError.ts'
