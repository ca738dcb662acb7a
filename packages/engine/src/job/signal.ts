import { checkSignalOptions } from '../arguments/signals.ts'
import type { StandardSchemaV1 } from '../values/standardSchema.ts'
import type { Duration, StepItem } from './step.ts'

/** What durable work can wait for: the click of a person, a webhook, an answer. */
export interface Signal<Payload = unknown, Input = unknown> {
  readonly name: string
  readonly payload: StandardSchemaV1<Input, Payload>
}

export interface SignalOptions<Payload = unknown, Input = unknown> {
  /** A camelCase identifier of at most 100 characters. */
  name: string
  /** A Standard Schema, which must be synchronous. It is asked when the signal is sent and when it is read. Default: any JSON. */
  payload?: StandardSchemaV1<Input, Payload>
}

/** A signal that a program sends. */
export interface SentSignal<Payload = unknown> {
  /** Which wait it is for, such as the id of an order: a text of at most 200 bytes. */
  key: string
  /** Makes it idempotent: of signals with the same name, key and id the first counts. A text of at most 200 bytes. */
  id: string
  /** At most 1 MB as JSON. Default null. */
  payload?: Payload
}

export interface WaitOptions extends StepItem {
  /** The signal's key. */
  key: string
  /** After it the wait is over with null: in milliseconds, or as a duration. Default: it waits for as long as it takes. */
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
