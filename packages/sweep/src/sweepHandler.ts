import type { Details, Handler as AnyHandler, Job, PayloadOf, RunContext } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import type { SweptRows } from './sweepTarget.ts'

type Handler<J> = AnyHandler<PayloadOf<J>, Transaction>

/** A handler that declares which rows it sweeps. */
export type SweepHandler<J> = Handler<J> & {
  /** The rows that it would sweep at that time. */
  readonly sweeps: (now: Date) => readonly SweptRows[]
}

/**
 * Makes the handler and its declaration from one function, so that a check can look for the indexes of the very queries
 * that the handler sends.
 */
export function sweepHandler<J extends Job, const Targets extends readonly SweptRows[]>(
  targetsAt: (now: Date) => Targets,
  work: (context: RunContext<PayloadOf<J>, Transaction>, targets: Targets) => Promise<Details>,
): SweepHandler<J> {
  const handler: Handler<J> = async (context) => work(context, targetsAt(context.now()))
  return Object.assign(handler, { sweeps: targetsAt })
}
