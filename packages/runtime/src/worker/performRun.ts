import type { Handler, Job, JobsPrismaClient } from '../contract/index.ts'
import type { Logger } from 'pino'
import type { Database } from '../queue/database.ts'
import type { Cancellations } from './createCancellations.ts'
import { executeRun, type RunResult } from './executeRun.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../queue/queue.ts'
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
  const log = options.log.child({ name: run.name, runId: run.id, attempt: run.attempt })
  log.info({ trigger: run.trigger, scheduledFor: run.scheduledFor ?? undefined }, 'job run started')

  const result = await executeRun({
    ...options,
    log,
    signal: AbortSignal.any([options.signal, cancellations.signalFor(run.id)]),
    enqueue: options.queue.enqueue,
    keepProgress: async (progress) => {
      await keepProgress(database, workerId, run.id, progress)
      options.onProgress?.()
    },
  })
  cancellations.forget(run.id)
  const settlement = toSettlement(run, delivery, result, now())
  const outcome = await settler.settle(settlement)

  if (outcome.kind === 'lost') {
    log.warn('job run lost: another worker has ended it')
  } else {
    const durationMs = settlement.endedAt.getTime() - run.startedAt.getTime()
    const level = settlement.failure ? 'error' : 'info'
    log[level](
      { status: settlement.status, durationMs, details: outcome.details },
      'job run finished',
    )
  }
  return { settlement, outcome }
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
