export { ArgumentError, nearest } from './values/argument.ts'
export { cronProblem } from './arguments/jobs.ts'
export {
  defineJob,
  type Guard,
  type IsolationLimits,
  isScheduled,
  type Job,
  type JobOptions,
  type RateLimit,
  reschedule,
  type RetryPolicy,
  type Schedule,
  type ScheduledJob,
  type ScheduleOptions,
} from './job/defineJob.ts'
export { isEngineJob, pruneJobRuns, withEngineJobs } from './job/engineJobs.ts'
export type {
  Enqueue,
  EnqueueOptions,
  EnqueueResult,
  TraceContext,
  TraceEnqueue,
  WorkItem,
} from './job/enqueue.ts'
export {
  type Counts,
  defineHandlersModule,
  type Details,
  type DurableContext,
  type DurableHandler,
  type Handler,
  type HandlersFor,
  type HandlersModule,
  type HandlersSetting,
  type JsonValue,
  type PayloadOf,
  type ResultOf,
  type RunContext,
  type RunInfo,
  type RunSchedule,
  type StepsOf,
} from './job/handler.ts'
export type { HostClient, HostTransaction, TransactionOf } from './job/hostTypes.ts'
export {
  ChildFailed,
  type ChildResult,
  type Duration,
  type Jsonify,
  type Mapped,
  type MapOptions,
  type VerifiedStep,
  type Step,
  type StepCall,
  StepFailed,
  type StepItem,
  type StepOptions,
  type StepTransaction,
  type Verified,
} from './job/step.ts'
export { JobError, type JobErrorOptions } from './job/jobError.ts'
export {
  type ConcurrencyOptions,
  defineLimit,
  type Partition,
  type PartitionOptions,
  type SharedLimit,
  type SharedLimitOptions,
} from './job/limits.ts'
export {
  defineSignal,
  type SentSignal,
  type Signal,
  type SignalOptions,
  type WaitOptions,
} from './job/signal.ts'
export type { HostLogger, Logger } from './job/logger.ts'
export { RateLimited, type RateLimitedOptions } from './job/rateLimited.ts'
export { definePayload, type StandardSchemaV1 } from './values/standardSchema.ts'
export { nextTick } from './tick/nextTicks.ts'
