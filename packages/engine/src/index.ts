export {
  cronProblem,
  defineJob,
  isScheduled,
  MISSED_POLICIES,
  OVERLAP_POLICIES,
  reschedule,
  type Guard,
  type IsolationLimits,
  type Job,
  type JobOptions,
  type MissedPolicy,
  type OverlapPolicy,
  type RateLimit,
  type RetryPolicy,
  type Schedule,
  type ScheduledJob,
  type ScheduleOptions,
} from './job/defineJob.ts'
export { isEngineJob, pruneJobRuns, withEngineJobs, type EngineJobName } from './job/engineJobs.ts'
export { payloadProblem } from './job/askSchema.ts'
export type {
  Enqueue,
  EnqueueOptions,
  EnqueueResult,
  TraceContext,
  TraceEnqueue,
  WorkItem,
} from './job/enqueue.ts'
export {
  defineHandlersModule,
  JOB_TRIGGERS,
  type Counts,
  type Details,
  type GuardCount,
  type Handler,
  type HandlersFor,
  type HandlersModule,
  type HandlersSetting,
  type JobTrigger,
  type JsonValue,
  type PayloadOf,
  type ResultOf,
  type RunContext,
  type RunInfo,
} from './job/handler.ts'
export {
  definePayload,
  type StandardSchemaIssue,
  type StandardSchemaResult,
  type StandardSchemaV1,
} from './job/standardSchema.ts'
export type { HostClient, HostTransaction, TransactionOf } from './job/hostTypes.ts'
export { nearest } from './job/nearest.ts'
export type { HostLogger, Logger, LogLine } from './job/logger.ts'
export { ArgumentError } from './job/argument.ts'
export { JobError, type JobErrorOptions } from './job/jobError.ts'
export { TICK_OUTCOMES, type TickOutcome } from './tick/decideTicks.ts'
export { createLocalTime, type LocalTime, type TickMark } from './tick/localTime.ts'
export { isTimeOfDay, nextTick, nextTicks } from './tick/nextTicks.ts'
