import {
  checkJob,
  checkJobOptions,
  checkReschedule,
  type MISSED_POLICIES,
  type OVERLAP_POLICIES,
} from '../arguments/jobs.ts'
import type { ConcurrencyOptions, Partition, PartitionOptions, SharedLimit } from './limits.ts'
import type { StepDefinition, StepOptions } from './step.ts'
import type { StandardSchemaV1 } from '../values/standardSchema.ts'

/**
 * Words, used in no other sense:
 *   job      what can be run: a name, a payload, policies
 *   run      one execution of it, recorded as a JobRun
 *   attempt  which delivery of the same piece of work a run is, counted from 1
 *   tick     an instant that a schedule names; its outcome is in the tick ledger
 */
export interface Job<
  Name extends string = string,
  Payload = unknown,
  Result = unknown,
  Steps = unknown,
> {
  readonly name: Name
  readonly description: string
  readonly payload: StandardSchemaV1<unknown, Payload>
  readonly schedule: Schedule | null
  readonly timeoutMs: number
  /** How long its work may take from its first start, with all waits and retries; null: as long as it does. */
  readonly deadlineMs: number | null
  readonly retry: RetryPolicy
  readonly concurrency: number | null
  /** Runs at once over all workers, and (`concurrencyPerKey`) of one key; null: no such limit. */
  readonly globalConcurrency: number | null
  readonly concurrencyPerKey: number | null
  /** By what its work is divided into keys; null: it has none. */
  readonly partition: Partition | null
  /** The limits that it shares with other jobs. */
  readonly limits: readonly SharedLimit[]
  readonly rateLimit: RateLimit | null
  readonly isDestructive: boolean
  readonly guard: Guard | null
  /** A sentence that says why it needs no guard though it is destructive. */
  readonly unguarded: string | null
  /** Whether people may ask for a dry run. */
  readonly dryRun: boolean
  /** At most one run at a time, over all processes. */
  readonly isExclusive: boolean
  /** Limits of the child process of each run; null when runs go on in the worker's process. */
  readonly isolate: IsolationLimits | null
  /** Says what a piece of work is about, for people; null without labels. */
  readonly label: ((payload: never) => string) | null
  /** Names of the payload's parts that people see. */
  readonly show: readonly string[]
  /** Masks what the job's error messages and log lines must not hold; null: the engine's patterns alone do. */
  readonly redact: ((text: string) => string) | null
  /** The schema of its handler's result; null when the handler returns details instead. */
  readonly result: StandardSchemaV1<unknown, Result> | null
  /** Its steps, which make it durable; null: it has none. */
  readonly steps: Readonly<Record<string, StepDefinition>> | null
  /** Results of its steps by name. Exists in the types only. */
  readonly stepResults?: Steps
}

/** The limits of a run's child process. */
export interface IsolationLimits {
  /**
   * How large V8's heap may grow, in megabytes (2^20 bytes). The process is killed when all its memory, with buffers and
   * native code, is 256 MB more than that.
   */
  readonly memoryMb: number
}

export interface Schedule {
  /** Five fields, six with seconds in front, or `@daily` and its like. */
  readonly cron: string
  /** IANA name. */
  readonly timeZone: string
  readonly missed: MissedPolicy
  readonly catchUpMs: number
  readonly overlap: OverlapPolicy
  /** The name of the setting with which an operator changed the expression, such as `SEND_DIGEST_CRON`. The record of the change shows it. */
  readonly setBy?: string
}

/**
 * At most `limit` starts in `perMs` milliseconds, over all workers. They are spaced evenly: at most a tenth of `limit`,
 * or one, start at once. Every attempt counts.
 */
export interface RateLimit {
  readonly limit: number
  readonly perMs: number
  /** `job` (default): the limit is for all runs of the job. `key`: each key has its own. Keys need a `partition`. */
  readonly by?: 'job' | 'key'
}

/** How many rows one run may change before a person has to approve it. If both maximums are given, the lower one applies. */
export interface Guard {
  readonly maxRows?: number
  /** The share of all rows that a run may change, from 0 to 1. */
  readonly maxShare?: number
  /**
   * A run may change up to this many rows, whatever their share. In a small table a large share is normal. Default 0.
   */
  readonly minRows?: number
}

export type ScheduledJob = Job & { readonly schedule: Schedule }

export type MissedPolicy = (typeof MISSED_POLICIES)[number]

export type OverlapPolicy = (typeof OVERLAP_POLICIES)[number]

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly limit: number
  /** The pause before the first retry; it doubles at each further one, with jitter. Rounded to whole seconds, at least one. */
  readonly delayMs: number
  /** The longest pause, rounded in the same way. */
  readonly maxDelayMs: number
}

export interface ScheduleOptions {
  /** Five fields, six with seconds in front, or `@daily` and its like. */
  cron: string
  /** Default `UTC`. */
  timeZone?: string
  /**
   * What happens to ticks that were due while no worker was running. `once` (default): one run makes up for all of them.
   * `all`: each tick gets a run. `skip`: no tick gets a run.
   */
  missed?: MissedPolicy
  /** In milliseconds. A tick that was due longer ago is recorded as missed and gets no run. Default: one day. */
  catchUpMs?: number
  /**
   * What happens at a tick while an earlier run has not ended. `skip` (default): the tick gets no run. `queue`: its run starts
   * when the earlier one has ended. `allow`: both run at the same time. Work that is due, or waits for a retry, counts as an
   * earlier run. Work that was enqueued or postponed for a later time does not.
   */
  overlap?: OverlapPolicy
}

/** A tick's payload is an empty object, which the schema has to take. The text is what the compiler shows. */
type ScheduleFor<Input> = {} extends Input
  ? ScheduleOptions
  : 'A schedule runs with {} as payload: make each key of the schema optional, give it a default, or use client.schedules'

export interface JobOptions<
  Name extends string,
  Payload,
  Result = never,
  Input = unknown,
  Steps = null,
> {
  /** A camelCase identifier of at most 100 characters; also the name of its queue. */
  name: Name
  /** One sentence for people: lists and the console show it. Default: none. */
  description?: string
  /**
   * A Standard Schema, such as one of zod (3.24 or later), valibot or arktype. It must be synchronous. The engine validates a
   * payload before it stores it, and again at each attempt. The handler gets the schema's output. Default: an empty object.
   */
  payload?: StandardSchemaV1<Input, Payload>
  /** When the job runs by the clock. Its payload is then an empty object. Default: the job runs only when it is enqueued. */
  schedule?: ScheduleFor<NoInfer<Input>>
  /**
   * The worker aborts a run that takes longer. The run then ends as failed, with the code `timeout`. Default: 15 minutes. At
   * most 23 hours and 58 minutes. The worker's current definition applies, also to work that was enqueued before a change.
   */
  timeoutMs?: number
  /**
   * For jobs with steps: work that has not ended so long after its first start, all waits and retries included, becomes a dead letter
   * with the code `deadline_exceeded`. Nothing is undone then; a person who retries it starts the time anew. At most a century.
   * Default: no such limit.
   */
  deadlineMs?: number
  /**
   * How often, and after which pauses, failed work is tried again. Default: 2 retries, after 5 s and 10 s; pauses double up to
   * 5 minutes. A pause may be a year at most, and `limit` a million. The worker's current definition applies.
   */
  retry?: Partial<RetryPolicy>
  /**
   * How many runs of the job may go on at the same time. A number is the limit in one worker, 10,000 at most;
   * `{ perWorker, global, perKey }` sets others. Default: the worker's own limit. Ignored if `overlap` allows one run at a time.
   */
  concurrency?: number | ConcurrencyOptions
  /** Divides the job's work by a key, such as a customer's id. Each key gets its share of the workers. Default: no keys. */
  partition?: PartitionOptions<NoInfer<Payload>>
  /** Limits that the job shares with other jobs, made by `defineLimit`. At most 2. Default: none. */
  limits?: readonly SharedLimit[]
  /** How often runs may start, for handlers that call a service with a rate limit. Default: no limit. */
  rateLimit?: RateLimit
  /**
   * Whether the job's runs delete many rows for good. Such a job needs a `guard`, or a reason for having none in `unguarded`:
   * `roundsman check` reports it otherwise. Default: false.
   */
  isDestructive?: boolean
  /**
   * A limit for jobs that delete or change many rows. A run that finds more rows than this changes nothing, and ends as failed
   * with the code `guard_blocked`. A person can then approve it. The handler has to call `ctx.guard`. Default: no guard.
   */
  guard?: Guard
  /** Why a destructive job needs no guard: a sentence for people. Cannot be combined with `guard`. */
  unguarded?: string
  /**
   * Whether people may request a dry run. At the end of a dry run, the changes of its batches are rolled back. Mails and calls to
   * other services are not: set this only if the handler makes none, or checks `run.dryRun` first. Default: false, dry runs are
   * refused.
   */
  dryRun?: boolean
  /**
   * Executes each run in a child process. An endless loop, a full memory or an exit then ends only that run. The worker kills
   * the process 5 s after the run's time-out, and immediately if it exceeds its memory. The worker needs a `handlersModule`.
   * `true` means `{ memoryMb: 512 }`; the minimum is 64. The default of `concurrency` is then at most the number of processors.
   * Default: false, runs are executed in the worker's process.
   */
  isolate?: boolean | Partial<IsolationLimits>
  /**
   * Returns a short text by which people find the work: `` ({ orderId }) => `Order ${orderId}` ``. The engine calls it once,
   * when the work is enqueued, with the schema's output. The label is stored with the work and its runs, cut after 200
   * characters. If the function throws or returns no text, the work has no label. Default: no label.
   */
  label?: (payload: NoInfer<Payload>) => string
  /**
   * The fields of the payload that people see beside the label, 20 at most. Texts are cut after 200 characters. Lists and
   * objects are shown as JSON, cut in the same way. Default: none.
   */
  show?: readonly (keyof NoInfer<Payload> & string)[]
  /**
   * Masks a text of the job before it is stored: the message of an error, each of its causes, a log line. The engine has
   * masked credentials and e-mail addresses by then: `(text) => text.replaceAll(/DE\d{20}/g, '[IBAN]')`. It must be
   * synchronous. If it throws or returns no text, the text is withheld. Default: the engine's patterns alone.
   */
  redact?: (text: string) => string
  /**
   * A Standard Schema of the handler's return value, for a program that waits with `client.result`. The engine validates the
   * value as JSON, and the program gets the schema's output. A result may have 64 kB, is kept as long as its run, and is never
   * shown to people. If it is invalid, too large or not JSON, the run fails with the code `result_invalid`, `result_too_large`
   * or `result_unstorable`, although its work is done. Default: no result; the handler returns details.
   */
  result?: StandardSchemaV1<unknown, Result>
  /**
   * Names the steps of a durable handler, which gets `step` and goes on where it stopped, after a failure, a wait of days or a deploy.
   * The code between steps runs again each time. Not together with `isolate`, `guard`, dry runs or fifo keys.
   * Default: the handler begins anew at each attempt.
   */
  steps?: { readonly [Step in keyof Steps]: StepOptions<Steps[Step]> } | null
}

/**
 * Defines a job, without its handler: producers import definitions and stay light.
 * @throws ArgumentError naming the job, the option, and what to set instead
 */
export function defineJob<
  const Name extends string,
  Payload = Record<string, never>,
  Result = never,
  Input = unknown,
  Steps = null,
>(options: JobOptions<Name, Payload, Result, Input, Steps>): Job<Name, Payload, Result, Steps> {
  return checkJobOptions(options) as Job as Job<Name, Payload, Result, Steps>
}

/**
 * Returns the same job with another cron expression, for an operator's override.
 * @param setBy by what it is set, such as the name of a variable; the record of the change names it
 * @throws ArgumentError when the expression is not valid, or the job has no schedule
 */
export function reschedule<J extends Job>(job: J, cron: string, setBy?: string): J {
  const schedule = checkReschedule(job, cron, setBy)
  return { ...job, schedule }
}

/** Whether the job has a schedule of its own. */
export function isScheduled(job: Job): job is ScheduledJob {
  return checkJob('job', job).schedule !== null
}
