import type { PrismaTransactionLike } from 'pg-boss'
import type { Logger } from 'pino'
import {
  describePayloadError,
  JobError,
  type Counts,
  type Details,
  type Enqueue,
  type Handler,
  type Job,
  type JobsPrismaClient,
  type RunInfo,
} from '../contract/index.ts'
import { checkGuard } from './checkGuard.ts'
import type { Abort } from './abort.ts'
import { createProgress, type Progress } from './createProgress.ts'
import { describeError, type ErrorDescription } from './describeError.ts'
import { ADD_COUNTS_SQL, countBatch } from './runs.ts'

export interface ExecuteOptions {
  run: RunInfo
  job: Job
  handler: Handler<never, never>
  /** As it came from the queue or the command line; validated here. */
  payload: unknown
  prisma: JobsPrismaClient
  workerId: string
  /** The run's own; asked for once, by a handler that logs. */
  openLog: () => Logger
  now: () => Date
  /** Also aborted from outside: drain, cancellation, loss of the run. The reason should be a JobError. */
  abort: Abort
  /** How many rows somebody has approved, or null. */
  approvedRows: number | null
  keepProgress: (progress: Progress) => Promise<void>
  enqueue: Enqueue<PrismaTransactionLike>
}

export type RunResult =
  | { status: 'success'; details: Details }
  | { status: 'failed'; details: Details; error: ErrorDescription; retryable: boolean }

/** How long an aborted handler may take to notice, before the run ends without it. */
export const ABORT_GRACE_MS = 5_000

const TRANSACTION_OPTIONS = { maxWait: 10_000, timeout: 60_000 }

/** Runs one handler to its end. Every way in which it can end is a result; it never throws. */
export async function executeRun(options: ExecuteOptions): Promise<RunResult> {
  const { run, job, handler, prisma, abort } = options
  const parsed = job.payload.safeParse(options.payload ?? {})
  if (!parsed.success) {
    const message = describePayloadError(parsed.error)
    return {
      status: 'failed',
      error: { code: 'payload_invalid', message },
      retryable: false,
      details: {},
    }
  }

  const timer = setTimeout(
    () => abort.abort(new JobError('timeout', `The run took longer than ${job.timeoutMs} ms`)),
    job.timeoutMs,
  )
  // Most runs are too short to report any, and log nothing of their own.
  let progress: ReturnType<typeof createProgress> | undefined
  let log: Logger | undefined
  // What a dry run has counted; a real one counts in its row, batch by batch.
  const rehearsed: Counts = {}
  // What the guard found.
  const facts: Details = {}

  const call = (transactions: Transactions) =>
    untilAborted(abort, async () =>
      (handler as Handler<unknown, unknown>)({
        run,
        payload: parsed.data,
        // Getters of its own, so that a handler may hand on a copy: `{ ...context, batch }`.
        get signal() {
          return abort.signal
        },
        get log() {
          return (log ??= options.openLog())
        },
        now: options.now,
        batch(work) {
          if (abort.isAborted) throw abort.reason
          return transactions.batch(work) as never
        },
        async guard(count) {
          const { guard } = job
          if (guard === null) return
          try {
            await transactions.read(async (tx) => {
              Object.assign(facts, await checkGuard(tx, guard, count, options.approvedRows))
            })
          } catch (error) {
            if (!(run.dryRun && error instanceof JobError)) throw error
            Object.assign(facts, error.details)
          }
        },
        enqueue: options.enqueue,
        progress(done, total) {
          progress ??= createProgress(options.keepProgress)
          progress.report({ done, total: total ?? null })
        },
      }),
    )

  try {
    const details = run.dryRun
      ? await rehearse(prisma, job.timeoutMs, call, rehearsed)
      : await call({
          batch: (work) => commitBatch(options, work),
          read: async (work) => void (await prisma.$transaction(work, TRANSACTION_OPTIONS)),
        })
    return { status: 'success', details: { ...rehearsed, ...facts, ...details } }
  } catch (error) {
    return {
      status: 'failed',
      error: describeError(error, options.payload),
      retryable: !(error instanceof JobError) || error.retryable,
      details: { ...rehearsed, ...facts, ...(error instanceof JobError && error.details) },
    }
  } finally {
    clearTimeout(timer)
    await progress?.stop()
  }
}

interface Transactions {
  batch(work: (tx: unknown) => Promise<Counts>): Promise<Counts>
  read(work: (tx: unknown) => Promise<void>): Promise<void>
}

interface RawTransaction {
  $queryRawUnsafe(sql: string, ...values: unknown[]): Promise<unknown[]>
}

async function commitBatch(
  { prisma, run, workerId, now }: ExecuteOptions,
  work: (tx: unknown) => Promise<Counts>,
): Promise<Counts> {
  let counts: Counts = {}
  await prisma.$transaction(async (tx: RawTransaction) => {
    counts = await work(tx)
    const added = JSON.stringify(countBatch(counts))
    const at = String(now().getTime())
    const owned = await tx.$queryRawUnsafe(ADD_COUNTS_SQL, run.id, workerId, added, at)
    if (owned.length > 0) return
    throw new JobError(
      'run_lost',
      'The run was taken over by another worker; the batch is rolled back',
    )
  }, TRANSACTION_OPTIONS)
  return counts
}

class RehearsalOver extends Error {
  readonly details: Details | void
  constructor(details: Details | void) {
    super('rolled back: dry run')
    this.details = details
  }
}

/** A dry run is the real run inside one transaction that never commits: same predicate, same code. */
async function rehearse(
  prisma: JobsPrismaClient,
  timeoutMs: number,
  call: (transactions: Transactions) => Promise<Details | void>,
  total: Counts,
): Promise<Details | void> {
  try {
    await prisma.$transaction(
      async (tx: unknown) => {
        const details = await call({
          batch: async (work) => {
            const counts = await work(tx)
            for (const [key, count] of Object.entries(countBatch(counts))) {
              total[key] = (total[key] ?? 0) + count
            }
            return counts
          },
          read: (work) => work(tx),
        })
        throw new RehearsalOver(details)
      },
      { maxWait: 10_000, timeout: timeoutMs },
    )
  } catch (error) {
    if (error instanceof RehearsalOver) return error.details
    throw error
  }
}

/**
 * The handler's own end; or, once the run is aborted and the handler has had its chance to notice, the
 * reason. A handler that goes on regardless can commit no further batch: its run has ended.
 */
function untilAborted<Value>(abort: Abort, start: () => Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const leave = () => {
      clearTimeout(timer)
      abort.onAbort(null)
    }
    abort.onAbort(() => {
      timer = setTimeout(() => reject(abort.reason as Error), abort.isAtOnce ? 0 : ABORT_GRACE_MS)
    })
    start().then(
      (value) => {
        leave()
        resolve(value)
      },
      (error: unknown) => {
        leave()
        // A handler that stops because it was told to usually throws something of its own.
        reject(abort.isAborted ? abort.reason : error)
      },
    )
  })
}
