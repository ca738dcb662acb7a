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
  /** By what an operator has set the expression, such as `SEND_DIGEST_CRON`; for the record of its change. */
  readonly setBy?: string
}

/**
 * At most `limit` starts in `perMs` milliseconds, over all workers. They are spaced evenly: at most a tenth of `limit`,
 * or one, start at once. Every attempt counts.
 */
export interface RateLimit {
  readonly limit: number
  readonly perMs: number
  /** Whether the job (default) or each of its keys may start so many. Keys need a `partition`. */
  readonly by?: 'job' | 'key'
}

/** How much one run may change before somebody has to approve it. Of `maxRows` and `maxShare` the lower counts. */
export interface Guard {
  readonly maxRows?: number
  /** The share of all rows that a run may change, from 0 to 1. */
  readonly maxShare?: number
  /**
   * Up to so many rows may change whatever their share: in a small table a large share is nothing unusual. Default 0.
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
   * What workers do with ticks that were due while none of them lived. `once` (default): one run makes up for all of them.
   * `all`: each gets a run. `skip`: none does.
   */
  missed?: MissedPolicy
  /** Ticks that were due longer ago are recorded as missed and get no run. Default one day. */
  catchUpMs?: number
  /**
   * What workers do with a tick while an earlier run has not ended. `skip` (default): nothing. `queue`: its work waits until
   * that run has ended. `allow`: both run. Work of the job that is due or to be retried counts as such a run; what was
   * enqueued or postponed for a later instant does not.
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
   * A Standard Schema, as zod from 3.24 on, valibot and arktype make them. It must be synchronous. The engine asks it before
   * it stores a payload, and again at each attempt, whose handler gets what the schema returns. Default: an empty object.
   */
  payload?: StandardSchemaV1<Input, Payload>
  /** When it runs by the clock, with an empty object as payload. Default: only when it is enqueued. */
  schedule?: ScheduleFor<NoInfer<Input>>
  /**
   * The worker aborts a run that takes longer, which ends as failed with code `timeout`. Default 15 minutes, at most a day
   * less two minutes. The worker's definition counts, even for work that was enqueued before it changed.
   */
  timeoutMs?: number
  /**
   * For jobs with steps: work that has not ended so long after its first start, all waits and retries included, becomes a dead letter
   * with the code `deadline_exceeded`. Nothing is undone then; a person who retries it starts the time anew. At most a century.
   * Default: no such limit.
   */
  deadlineMs?: number
  /**
   * Default: 2 retries, after 5 s and 10 s, at most 5 minutes apart. The worker's definition counts, as with `timeoutMs`.
   * No pause may be longer than a year, and no limit above a million.
   */
  retry?: Partial<RetryPolicy>
  /**
   * Runs at once: in one worker as a number, at most 10,000, or `{ perWorker, global, perKey }`. Default: as many as the worker's own
   * limit. Ignored where `overlap` allows one run at a time.
   */
  concurrency?: number | ConcurrencyOptions
  /** By what its work is divided, so that each key gets its share. Default: it is not. */
  partition?: PartitionOptions<NoInfer<Payload>>
  /** Limits that it shares with other jobs, by `defineLimit`: at most 2. Default: none. */
  limits?: readonly SharedLimit[]
  /** How often runs may start, to spare the services that they call. Default: as often as there is work. */
  rateLimit?: RateLimit
  /**
   * Whether its runs take away for good what it finds due, many rows at once. Such a job needs a guard, or
   * a reason for having none; `roundsman check` demands it. Default false.
   */
  isDestructive?: boolean
  /**
   * For jobs that remove or change much: a run that finds more due than this changes nothing and ends as failed with code
   * `guard_blocked`; then somebody can approve it. Its handler has to call `ctx.guard`.
   * Default: none.
   */
  guard?: Guard
  /** A sentence for people that says why a destructive job needs no guard. Not together with a guard. */
  unguarded?: string
  /**
   * Whether people may ask for a dry run, whose database changes made through batches are rolled back at its end. Set it where the
   * handler changes nothing else, or looks at `run.dryRun` first: mails and calls to other services really happen. Default false: a
   * dry run is refused.
   */
  dryRun?: boolean
  /**
   * Carries each run out in a child process, so that an endless loop, a full memory or an exit ends only that run. The
   * worker kills the process 5 s after the run's time-out, and at once for its memory. It needs a `handlersModule`.
   * `true` means `{ memoryMb: 512 }`; the least is 64. By default `concurrency` is at most the number of processors.
   * Default false: runs go on in the worker's own process.
   */
  isolate?: boolean | Partial<IsolationLimits>
  /**
   * Says in a few words, by which people find the work, what it is about: `` ({ orderId }) => `Order ${orderId}` ``. The
   * engine calls it once, when the work is enqueued, with the payload as the schema returns it, cuts the label after 200
   * characters, and stores it with the work and its runs. If it throws or returns no text, the work has no label. Default:
   * no label.
   */
  label?: (payload: NoInfer<Payload>) => string
  /**
   * Names of the payload's parts, at most 20, that people see beside the label. Texts are cut after 200 characters; of lists
   * and objects people see the beginning of the JSON. Default: none.
   */
  show?: readonly (keyof NoInfer<Payload> & string)[]
  /**
   * Masks a text of the job before it is stored: the message of an error, each of its causes, a log line. The engine has
   * masked credentials and e-mail addresses by then: `(text) => text.replaceAll(/DE\d{20}/g, '[IBAN]')`. It must be
   * synchronous. If it throws or returns no text, the text is withheld. Default: the engine's patterns alone.
   */
  redact?: (text: string) => string
  /**
   * A Standard Schema of what the handler returns, for a program that waits by `client.result`. The engine asks it about the
   * result's JSON, and the program gets what it returns. A result may have 64 kB as JSON, stays as long as its run, and is
   * shown to nobody. One that is invalid, too large or no JSON ends the run as failed with code `result_invalid`,
   * `result_too_large` or `result_unstorable`, though its work is done. Default: the job has no result, and its handler
   * returns details.
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
