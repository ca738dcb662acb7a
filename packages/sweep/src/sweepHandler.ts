import type { Details, Handler as AnyHandler, Job, PayloadOf, RunContext } from '@roundsman/engine'
import type { Transaction } from './transaction.ts'
import type { SweptRows } from './sweepTarget.ts'

type Handler<J> = AnyHandler<PayloadOf<J>, Transaction>

/** A handler that says what it takes away. */
export type SweepHandler<J> = Handler<J> & {
  /** What it would sweep at that time. */
  readonly sweeps: (now: Date) => readonly SweptRows[]
}

/**
 * A handler and what it sweeps, from one declaration: the handler is given what is declared, and `worker:check`
 * looks for indexes at the same.
 */
export function sweepHandler<J extends Job, const Targets extends readonly SweptRows[]>(
  targetsAt: (now: Date) => Targets,
  work: (context: RunContext<PayloadOf<J>, Transaction>, targets: Targets) => Promise<Details>,
): SweepHandler<J> {
  const handler: Handler<J> = async (context) => work(context, targetsAt(context.now()))
  return Object.assign(handler, { sweeps: targetsAt })
}
