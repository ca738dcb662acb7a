import { checkSignalOptions } from '../arguments/signals.ts'
import type { Job } from './defineJob.ts'
import type { StandardSchemaV1 } from '../values/standardSchema.ts'
import type { Duration, StepItem } from './step.ts'

/** An event that durable work can wait for: the click of a person, a webhook, an answer. */
export interface Signal<Payload = unknown, Input = unknown> {
  readonly name: string
  readonly payload: StandardSchemaV1<Input, Payload>
}

export interface SignalOptions<Payload = unknown, Input = unknown> {
  /** A camelCase identifier of at most 100 characters. */
  name: string
  /**
   * A Standard Schema, which must be synchronous. It validates the payload when the signal is sent and when it is read.
   * Default: any JSON.
   */
  payload?: StandardSchemaV1<Input, Payload>
}

/** A signal that a program sends. */
export interface SentSignal<Payload = unknown> {
  /** Selects the wait, such as the id of an order: a text of at most 200 bytes. */
  key: string
  /** Makes it idempotent: only the first signal with the same name, key and id counts. A text of at most 200 bytes. */
  id: string
  /** At most 1 MB as JSON, and not null, which `waitFor` returns after its time-out. Default `{}`. */
  payload?: Payload
  /** Who sends it, where a person does. It is then on record as an action, and the steps of the work name them. */
  actor?: string
  /** Why, for the record. */
  reason?: string
}

export interface WaitOptions extends StepItem {
  /** The signal's key. */
  key: string
  /** The wait ends with null after this time: in milliseconds, or as a duration. Default: it has no time-out. */
  timeout?: number | Duration
}

/**
 * Defines a signal. `step.waitFor` waits for it, and `jobsClient.signal` sends it.
 * @throws ArgumentError naming the signal, the option, and what to set instead
 */
export function defineSignal<Payload = unknown, Input = unknown>(
  options: SignalOptions<Payload, Input>,
): Signal<Payload, Input> {
  return checkSignalOptions(options) as Signal<Payload, Input>
}

/** Finds a signal by its name, as a step of a job declares it. */
export function findSignal(jobs: readonly Pick<Job, 'steps'>[], name: string): Signal | null {
  const steps = jobs.flatMap((job) => Object.values(job.steps ?? {}))
  return steps.find(({ signal }) => signal?.name === name)?.signal ?? null
}
