import type { Facts } from '../queue/envelope.ts'
import type { Schema } from '../database/schema.ts'
import type { HostTransaction, HostClient } from '../job/hostTypes.ts'
import type { Logger } from '../job/logger.ts'
import { JobError } from '../job/jobError.ts'
import type {
  Counts,
  Details,
  GuardCount,
  Handler,
  RunContext,
  RunInfo,
  RunSchedule,
} from '../job/handler.ts'
import type { Enqueue } from '../job/enqueue.ts'
import type { Job } from '../job/defineJob.ts'
import { recogniseHost } from '../database/callersTransaction.ts'
import type { FailedStep, Suspension } from '../queue/endRuns.ts'
import type { Taken } from '../queue/taken.ts'
import { isOutcomeCode } from '../job/runOutcome.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import { readRefusal, type Refusal } from '../job/rateLimited.ts'
import { createMask } from '../values/maskText.ts'
import { readPart } from '../values/readPart.ts'
import { storableText } from '../values/storableText.ts'
import { checkGuard } from './checkGuard.ts'
import type { Abort } from './abort.ts'
import { createProgress, type Progress } from './progress.ts'
import { describeError, isJobError, type ErrorDescription } from './describeError.ts'
import { inFreeTransaction } from './inFreeTransaction.ts'
import { ADD_COUNTS_SQL, countBatch } from './runs.ts'
import { storableResult } from './storableResult.ts'
import {
  MAX_DETAILS_BYTES,
  storableCounts,
  storableDetails,
  storableProgress,
} from './storableValues.ts'

/** A run while its handler runs, with all that the handler needs. */
export interface Execution {
  /** The part that an isolated run's process gets, too. */
  readonly taken: Pick<Taken, 'id' | 'name' | 'attempt' | 'payload' | 'facts'>
  readonly retriesLeft: number
  /** How many rows a person has approved. Null: no approval. */
  readonly approvedRows: number | null
  readonly job: Job
  readonly handler: Handler<never, never>
  readonly client: HostClient
  readonly workerId: string
  readonly schema: Schema
  readonly now: () => Date
  /** The worker also aborts it, on drain, cancellation and loss of the run. The reason should be a JobError. */
  readonly abort: Abort
  readonly enqueue: Enqueue<HostTransaction>
  /** Makes the run's own logger. Called at most once, when the handler first logs. */
  openLog(): Logger
  keepProgress(progress: Progress): Promise<void>
  /** Writes the run into JobRun, if it is not there. Called before each batch. */
  write(): Promise<void>
}

/** The result of a handler. performRun makes the run's End of it. */
export type EndResult =
  | {
      status: 'success'
      details: Details
      /** The result as JSON; absent when the job has none. */
      result?: string
      hasNewMemo?: boolean
    }
  | {
      status: 'failed'
      details: Details
      error: ErrorDescription
      retryable: boolean
      /** Which work has to wait, since a service has refused more; absent: none. */
      refusal?: Refusal
      /** A step has failed, and is tried again after so long. Absent: the job's retries count. */
      retryAfterMs?: number
      /** The run has stored a memo: earlier failures no longer count. */
      hasNewMemo?: boolean
      /** Open waits beside the failed step, as JSON. They go on if the work is tried again. Absent: none. */
      waits?: string
      /** The step of which nothing caught the failure. */
      failedStep?: FailedStep
    }

/** The same of a durable handler. */
export type RunResult =
  | EndResult
  | ({ status: 'suspended'; details: Details; hasNewMemo?: boolean } & Suspension)

/**
 * Runs one handler to its end, and never throws: every end is a result. It copies what the handler hands over at once, so
 * that nothing foreign is called after it has returned.
 */
export async function executeRun(execution: Execution): Promise<EndResult> {
  const { job, abort } = execution
  if (execution.taken.facts.dryRun && !job.dryRun) return refuseDryRun(job)
  const parsed = parsePayload(execution)
  if (parsed.kind === 'refused') return parsed.result

  const known = openKnown(execution)
  try {
    const returned = await callHandler(execution, parsed.payload, known)
    return succeed(execution, known, returned)
  } catch (error) {
    // A handler that stops because of the abort usually throws an error of its own. The reason is more exact.
    return fail(execution, known, abort.isAborted ? abort.reason : error)
  } finally {
    abort.leave()
    if (known.progress !== null) await known.progress.stop()
  }
}

/** The version of the definition that asked for the dry run allows it, and this one does not. */
export function refuseDryRun({ name }: Job): EndResult {
  const message = `The definition of ${name} has no dryRun: true, so nothing was done`
  const error = { code: 'dry_run_refused', message }
  return { status: 'failed', error, retryable: false, details: {} }
}

const NOTHING: Counts = Object.freeze({})

export function openKnown({ taken }: Execution): Known {
  return {
    rehearsed: taken.facts.dryRun ? (Object.create(null) as Counts) : NOTHING,
    facts: {},
    isBlocked: false,
    counted: null,
    progress: null,
  }
}

/** The engine's own facts about a run, beside what its handler returns. Fields that may be null are rare. */
export interface Known {
  /** The counts of a dry run, without a prototype, since a count may have any name. A real run counts in its row, batch by batch. */
  rehearsed: Counts
  /** The numbers that the guard found. */
  facts: Details
  /** Whether the guard has refused it. */
  isBlocked: boolean
  /** The names of what its batches have counted. */
  counted: Set<string> | null
  /** Its progress. */
  progress: ReturnType<typeof createProgress> | null
}

type Parsed = { kind: 'parsed'; payload: unknown } | { kind: 'refused'; result: EndResult }

export function parsePayload({ job, taken: { payload } }: Execution): Parsed {
  const answer = judge(job.payload, payload === undefined ? {} : payload)
  if (answer.kind === 'accepted') return { kind: 'parsed', payload: answer.value }
  const mask = createMask(job.redact)
  const failure = answer.failure && describeError(answer.failure.reason, mask)
  const message = failure
    ? storableText(`The schema itself failed: ${failure.message}`)
    : storableText(mask(describeIssues(answer.issues)), 2_000)
  const error = { ...failure, code: 'payload_invalid', message }
  return { kind: 'refused', result: { status: 'failed', error, retryable: false, details: {} } }
}

/** The result of a handler that returned. Details or a result that can't be stored make it a failure. */
export function succeed(execution: Execution, known: Known, returned: unknown): EndResult {
  const { job } = execution
  // A job that an older version of the engine defined has no `result` at all.
  if ((job.result ?? null) !== null) return succeedWithResult(job, known, returned)
  const details = storableDetails(returned)
  const all = { ...known.rehearsed, ...known.facts, ...details }
  if (details !== null) return { status: 'success', details: all }
  return {
    status: 'failed',
    error: {
      code: 'details_too_large',
      message: `The handler did its work and returned details of more than ${MAX_DETAILS_BYTES} bytes`,
    },
    retryable: false,
    details: all,
  }
}

/** A refused result is not retried: the work is done, and another attempt would do it again. */
function succeedWithResult(job: Job, { rehearsed, facts }: Known, returned: unknown): EndResult {
  const details = { ...rehearsed, ...facts }
  const answer = storableResult(job, returned)
  return answer.kind === 'stored'
    ? { status: 'success', details, result: answer.json }
    : { status: 'failed', error: answer.error, retryable: false, details }
}

/** The result of a handler that threw. */
export function fail(
  execution: Execution,
  { rehearsed, facts, isBlocked }: Known,
  error: unknown,
): EndResult {
  const { job, abort } = execution
  const description = describeError(error, createMask(job.redact))
  const { code } = description
  // Such a code names why the engine has ended the run: a handler's own "cancelled" is a failure like any other.
  const isOwn = error === abort.reason || (isBlocked && code === 'guard_blocked')
  if (isOutcomeCode(code) && !isOwn) description.code = `handler_${code}`
  if (!isJobError(error)) {
    const details = { ...rehearsed, ...facts }
    return { status: 'failed', error: description, retryable: true, details }
  }
  // The issues quote the payload. They are in the message, which is hidden from people without the right.
  const details = code === 'payload_invalid' ? {} : storableDetails(readPart(error, 'details'))
  const refusal = readRefusal(error)
  // Nothing of this job would wait for a limit that it is not under, and it would go on asking.
  if (refusal !== null && !job.limits.some(({ name }) => name === refusal.limit))
    refusal.limit = null
  return {
    status: 'failed',
    ...(refusal !== null && { refusal }),
    error: { ...description, ...(details === null && { omitted: 'details_too_large' }) },
    // Foreign code may have put anything there: only `false` forbids a retry.
    retryable: readPart(error, 'retryable') !== false,
    details: { ...rehearsed, ...facts, ...details },
  }
}

/**
 * Calls the handler with its context, and waits for it or for an abort. `known` collects facts and rehearsed counts.
 */
function callHandler(execution: Execution, payload: unknown, known: Known): Promise<unknown> {
  const { abort, handler, taken } = execution
  const call = (transactions: Transactions | null): unknown =>
    handler(openContext(execution, payload, known, transactions) as never)
  if (!taken.facts.dryRun) return untilGivenUp(abort, () => call(null))
  const rehearsing = async (transactions: Transactions) => await call(transactions)
  return rehearse(execution, rehearsing, known.rehearsed)
}

/** Makes a handler's context. `rehearsal` has the transactions of a dry run; a real run opens its own. */
export function openContext(
  execution: Execution,
  payload: unknown,
  known: Known,
  rehearsal: Transactions | null,
): RunContext<unknown, unknown> {
  const { job, abort, taken } = execution
  const context = {
    [LAZY]: { execution, log: null },
    // A copy: a handler that changes it does not change the run.
    run: describeRun(execution),
    payload,
    now: execution.now,
    batch(work: (tx: unknown) => Promise<Counts>) {
      if (abort.isAborted) throw abort.signal.reason
      return (rehearsal ?? openTransactions(execution, known)).batch(work)
    },
    async guard(count: GuardCount<unknown>) {
      const { guard } = job
      if (guard === null) return
      try {
        await (rehearsal ?? openTransactions(execution, known)).read(async (tx) => {
          const found = await checkGuard(tx, guard, count, execution.approvedRows)
          Object.assign(known.facts, storableDetails(found))
        })
      } catch (error) {
        known.isBlocked = isJobError(error) && error.code === 'guard_blocked'
        if (!(taken.facts.dryRun && isJobError(error))) throw error
        Object.assign(known.facts, storableDetails(readPart(error, 'details')))
      }
    },
    enqueue: (...work: Parameters<typeof execution.enqueue>) => execution.enqueue(...work),
    progress(done: number, total?: number) {
      const progress = storableProgress(done, total)
      if (progress === null) return
      known.progress ??= createProgress((reached) => execution.keepProgress(reached))
      known.progress.report(progress)
    },
  }
  Object.defineProperty(context, 'signal', SIGNAL)
  Object.defineProperty(context, 'log', LOG)
  return context as unknown as RunContext<unknown, unknown>
}

/** Parts of a context that are made when the handler reads them: most handlers read neither the signal nor the log. */
interface Lazy {
  readonly execution: Execution
  log: Logger | null
}

const LAZY = Symbol('lazy')

/*
 * Own getters, so that a handler can pass on a copy: `{ ...context, batch }`. All runs share these two: getters of an
 * object literal, made for each run, take three times as long and twice the memory.
 */
const SIGNAL: PropertyDescriptor & ThisType<{ [LAZY]: Lazy }> = {
  enumerable: true,
  get() {
    const { abort } = this[LAZY].execution
    abort.isSignalRead = true
    return abort.signal
  },
}
const LOG: PropertyDescriptor & ThisType<{ [LAZY]: Lazy }> = {
  enumerable: true,
  get() {
    return (this[LAZY].log ??= this[LAZY].execution.openLog())
  },
}

/** The run as its handler and observers see it. */
export function describeRun({
  taken,
  retriesLeft,
}: Pick<Execution, 'taken' | 'retriesLeft'>): RunInfo {
  const { id, name, attempt } = taken
  const { trigger = 'queue', scheduledFor, schedule, dryRun = false } = taken.facts
  return {
    id,
    name,
    trigger,
    attempt,
    retriesLeft,
    scheduledFor: scheduledFor === undefined ? null : new Date(scheduledFor),
    // A person may have written any value there.
    schedule: schedule ? readSchedule(schedule) : null,
    dryRun,
  }
}

function readSchedule({ previousAt, ...schedule }: NonNullable<Facts['schedule']>): RunSchedule {
  return { ...schedule, previousAt: previousAt === null ? null : new Date(previousAt) }
}

interface Transactions {
  batch(work: (tx: unknown) => Promise<Counts>): Promise<Counts>
  read(work: (tx: unknown) => Promise<void>): Promise<void>
}

/** The transactions of a real run, each by itself. */
function openTransactions(execution: Execution, known: Known): Transactions {
  const { client, schema, abort } = execution
  return {
    async batch(work) {
      await execution.write()
      return await commitBatch(execution, work, (known.counted ??= new Set()))
    },
    read: (work) => inFreeTransaction(recogniseHost(client, schema), abort, work),
  }
}

/** Commits a batch's changes with its counts, in one transaction that fails when the run is no longer this worker's. */
async function commitBatch(
  { client, abort, taken, workerId, schema, now }: Execution,
  work: (tx: unknown) => Promise<Counts>,
  names: Set<string>,
): Promise<Counts> {
  let returned: Counts = {}
  let counts: Counts = {}
  await inFreeTransaction(recogniseHost(client, schema), abort, async (tx) => {
    returned = await work(tx)
    counts = storableCounts(returned, names)
    const added = JSON.stringify(countBatch(counts))
    const at = String(now().getTime())
    const { connection } = recogniseHost(tx, schema)
    const { rows } = await connection.query(ADD_COUNTS_SQL, [taken.id, workerId, added, at])
    if (rows.length > 0) return
    throw new JobError(
      'run_lost',
      'The run was taken over by another worker; the batch is rolled back',
    )
  })
  for (const name of Object.keys(counts)) names.add(name)
  return returned
}

class RehearsalOver extends Error {
  readonly returned: unknown
  constructor(returned: unknown) {
    super('rolled back: dry run')
    this.returned = returned
  }
}

/** Carries a dry run out inside one transaction that it rolls back: the same predicates and the same code as a real run. */
async function rehearse(
  { client, job, abort, schema }: Execution,
  call: (transactions: Transactions) => Promise<unknown>,
  total: Counts,
): Promise<unknown> {
  const names = new Set<string>()
  // When untilGivenUp gives the handler up, the transaction ends too, unless the library would then let the handler go on
  // outside of it. If the rollback never ends, the run ends without it.
  const host = recogniseHost(client, schema)
  const over = Promise.withResolvers<never>()
  over.promise.catch(() => undefined)
  const rehearsal = async (): Promise<unknown> => {
    try {
      return await host.transaction(
        async (tx) => {
          const called = call({
            batch: async (work) => count(await work(tx)),
            read: (work) => work(tx),
          })
          const ended = host.closesTransactions ? Promise.race([called, over.promise]) : called
          throw new RehearsalOver(await ended)
        },
        { maxWait: 10_000, timeout: job.timeoutMs },
      )
    } catch (error) {
      if (!(error instanceof RehearsalOver)) throw error
      return error.returned
    }
  }
  const rehearsed = untilGivenUp(abort, rehearsal)
  rehearsed.catch(over.reject)
  return await rehearsed

  function count(returned: Counts): Counts {
    const counts = storableCounts(returned, names)
    for (const name of Object.keys(counts)) names.add(name)
    for (const [name, added] of Object.entries(countBatch(counts))) {
      total[name] = (total[name] ?? 0) + added
    }
    return returned
  }
}

/**
 * Settles as the handler does, or rejects with the abort's reason ABORT_GRACE_MS after the abort. A handler that goes on
 * regardless can commit no further batch: its run has ended.
 */
function untilGivenUp(abort: Abort, start: () => unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    abort.onAbort(null, reject)
    Promise.resolve(start()).then(resolve, reject)
  })
}
