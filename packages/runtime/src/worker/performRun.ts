import type { Handler, Job, JobsPrismaClient, TraceContext } from '../contract/index.ts'
import type { Logger } from 'pino'
import type { Database } from '../queue/database.ts'
import type { Observers } from './combineObservers.ts'
import type { Cancellations } from './createCancellations.ts'
import { executeRun, type RunResult } from './executeRun.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../queue/queue.ts'
import type { RunEnding } from './observer.ts'
import { keepProgress, type NewRun } from './runs.ts'
import type { Settlement, SettleOutcome, Settler } from './settler.ts'

export interface PerformOptions {
  /** Already recorded. */
  run: NewRun
  /** The queue's side of it, or null when it did not come from there. */
  delivery: DeliveryRef | null
  job: Job
  handler: Handler<never, never>
  payload: unknown
  prisma: JobsPrismaClient
  settler: Settler
  cancellations: Cancellations
  database: Database
  queue: Pick<Queue, 'enqueue'>
  /** How many rows somebody has approved, or null. */
  approvedRows: number | null
  workerId: string
  log: Logger
  now: () => Date
  signal: AbortSignal
  /** Where the work was enqueued, if that was traced. */
  trace?: TraceContext | undefined
  observers?: Observers | undefined
  /** Called whenever progress was kept. */
  onProgress?: () => void
}

export interface Performance {
  settlement: Settlement
  outcome: SettleOutcome
}

/** A recorded run's way from its first log line to its last, whoever started it. */
export async function performRun(options: PerformOptions): Promise<Performance> {
  const { run, delivery, settler, cancellations, database, workerId, now } = options
  const observation = options.observers?.runStarted({ ...run, trace: options.trace ?? null })
  const log = options.log.child({
    name: run.name,
    runId: run.id,
    attempt: run.attempt,
    ...observation?.logFields,
  })
  log.info({ trigger: run.trigger, scheduledFor: run.scheduledFor ?? undefined }, 'job run started')

  const execute = () =>
    executeRun({
      ...options,
      log,
      signal: AbortSignal.any([options.signal, cancellations.signalFor(run.id)]),
      enqueue: options.queue.enqueue,
      keepProgress: async (progress) => {
        await keepProgress(database, workerId, run.id, progress)
        options.onProgress?.()
      },
    })
  const result = await (observation ? observation.within(execute) : execute())
  cancellations.forget(run.id)
  const settlement = toSettlement(run, delivery, result, now())
  const outcome = await settler.settle(settlement)

  const durationMs = settlement.endedAt.getTime() - run.startedAt.getTime()
  observation?.ended(toEnding(settlement, outcome, durationMs))
  if (outcome.kind === 'lost') {
    log.warn('job run lost: another worker has ended it')
  } else {
    const level = settlement.failure ? 'error' : 'info'
    log[level](
      { status: settlement.status, durationMs, details: outcome.details },
      'job run finished',
    )
  }
  return { settlement, outcome }
}

function toEnding({ failure }: Settlement, outcome: SettleOutcome, durationMs: number): RunEnding {
  if (outcome.kind === 'lost') return { kind: 'lost', durationMs }
  const { details } = outcome
  if (failure === null) return { kind: 'success', durationMs, details }
  return { kind: 'failed', durationMs, details, code: failure.error.code }
}

function toSettlement(
  run: NewRun,
  delivery: DeliveryRef | null,
  result: RunResult,
  endedAt: Date,
): Settlement {
  const ended = { id: run.id, status: result.status, endedAt, delivery }
  if (result.status === 'success') return { ...ended, details: result.details, failure: null }
  const { error, details } = result
  return {
    ...ended,
    details: { ...details, error },
    failure: { error, next: afterFailure(result) },
  }
}

function afterFailure({
  error,
  retryable,
}: {
  error: { code: string }
  retryable: boolean
}): AfterFailure {
  if (error.code === DRAINED) return 'redeliver'
  return retryable ? 'retry' : 'giveUp'
}

/** The code of a run that its own worker aborted in order to shut down. */
export const DRAINED = 'drained'
