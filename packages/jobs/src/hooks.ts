import type { Enqueue, EnqueueOptions, Job, PayloadOf } from '@roundsman/engine'
import { dispatchEmail } from './dispatchEmail.ts'

/** Events of this product that work may follow from. They carry ids only: the work reads what it needs when it runs. */
export interface DomainEvents {
  invoiceIssued: { invoiceId: string; version: number }
  /** `emailIds`: the messages that waited for the PDF. */
  invoicePdfReady: { invoiceId: string; version: number; emailIds: readonly string[] }
  previewCreated: { previewSessionId: string }
}

type Hooks = { readonly [Name in keyof DomainEvents]: readonly Hook<DomainEvents[Name]>[] }
type Hook<Event> = (event: Event) => readonly Work[]

/** Which work follows from which event. To add work, add a hook here; the code that emits the event stays as it is. */
const HOOKS: Hooks = {
  invoiceIssued: [],
  invoicePdfReady: [
    ({ emailIds }) =>
      emailIds.map((emailId) => work(dispatchEmail, { emailId }, { uniqueKey: emailId })),
  ],
  previewCreated: [],
}

/** Enqueues what follows from an event, in the transaction that made it happen. */
export async function emit<Tx, Name extends keyof DomainEvents>(
  tx: Tx,
  enqueue: Enqueue<Tx>,
  name: Name,
  event: DomainEvents[Name],
): Promise<void> {
  for (const hook of HOOKS[name]) {
    for (const { job, payload, options } of hook(event))
      await enqueue(tx, job, payload, { enqueuedBy: `hook ${name}`, ...options })
  }
}

interface Work {
  job: Job
  payload: unknown
  options: EnqueueOptions
}

/** Checks the payload against the job here, where the job's type is known. */
function work<J extends Job>(job: J, payload: PayloadOf<J>, options: EnqueueOptions = {}): Work {
  return { job, payload, options }
}
