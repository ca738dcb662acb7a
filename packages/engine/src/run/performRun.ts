import type { Logger } from 'pino'
import type { Details, Handler, Job, JobsPrismaClient, TraceContext } from '../index.ts'
import type { Database } from '../store/database.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../store/queue.ts'
import type { Observers } from './combineObservers.ts'
import { Abort } from './abort.ts'
import type { Cancellations } from './createCancellations.ts'
import { toLoggedError } from './toLoggedError.ts'
import { describeError, isJobError } from './describeError.ts'
import { executeRun, type ExecuteOptions, type RunResult } from './executeRun.ts'
import type { RunEnding } from './observer.ts'
import { keepProgress, type NewRun } from './runs.ts'
import type { HeldClaim, Settlement, SettleOutcome, Settler } from './settler.ts'

/** What all runs of a process share. */
export interface RunServices {
  prisma: JobsPrismaClient
  settler: Settler
  cancellations: Cancellations
  database: Database
  queue: Pick<Queue, 'enqueue'>
  workerId: string
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** Of what a handler returns, as JSON. Default 65,536. */
  maxDetailsBytes?: number | undefined
  /** Called when a run begins, when its progress was kept, and when it was ended. */
  onChange?: (run: NewRun) => void
}

export interface RunWork {
  /** Already recorded. */
  run: NewRun
  /** By which this worker holds it. */
  held: HeldClaim
  /** The queue's side of it, or null when it did not come from there. */
  delivery: DeliveryRef | null
  job: Job
  handler: Handler<never, never>
  payload: unknown
  /** How many rows somebody has approved, or null. */
  approvedRows: number | null
  /** Where the work was enqueued, if that was traced. */
  trace: TraceContext | undefined
  /** Nothing else runs in the process, and the claim says so. Default false. */
  isAlone?: boolean
  /** How it is carried out, to a result in any case. Default: in this process. */
  execute?: Execute | undefined
}

export type Execute = (options: ExecuteOptions) => Promise<RunResult>

export interface Performance {
  settlement: Settlement
  outcome: SettleOutcome
}

/**
 * A recorded run's way from its first log line to its last, whoever started it. Whatever handler, schema, observers and
 * logger do, it is settled.
 */
export async function performRun(services: RunServices, work: RunWork): Promise<Performance> {
  const { settler, log, now } = services
  const { run } = work
  services.onChange?.(run)
  const observation = services.observers?.runStarted({ ...run, trace: work.trace ?? null })
  const { name, id: runId, attempt } = run
  const fields = { ...observation?.logFields, name, runId, attempt }
  const { trigger, scheduledFor } = run
  log.info({ ...fields, trigger, scheduledFor: scheduledFor ?? undefined }, 'job run started')

  const abort = new Abort()
  const execute = () => carryOut(services, work, abort, () => log.child(fields))
  const result = await (observation ? observation.within(execute) : execute())
  const intended = toSettlement(work, result, now(), reasonOf(abort))
  const outcome = await settler.settle(intended)
  const settlement = outcome.kind === 'settled' ? (outcome.instead ?? intended) : intended
  services.onChange?.(run)

  const durationMs = settlement.endedAt.getTime() - run.startedAt.getTime()
  observation?.ended(toEnding(settlement, outcome, durationMs))
  if (outcome.kind === 'lost') {
    log.warn(fields, 'job run lost: another worker has ended it')
  } else {
    const { failure } = settlement
    log[failure ? 'error' : 'info'](
      {
        ...fields,
        status: failure === null ? 'success' : 'failed',
        durationMs,
        details: toLogged(outcome.details),
        ...(failure && { err: toLoggedError(failure.error) }),
      },
      'job run finished',
    )
  }
  return { settlement, outcome }
}

async function carryOut(
  services: RunServices,
  work: RunWork,
  abort: Abort,
  openRunLog: () => Logger,
): Promise<RunResult> {
  const { cancellations } = services
  const { run, payload, execute = executeRun } = work
  try {
    cancellations.watch(run.id, abort)
    return await execute({
      run,
      job: work.job,
      handler: work.handler,
      payload,
      approvedRows: work.approvedRows,
      prisma: services.prisma,
      workerId: services.workerId,
      now: services.now,
      abort,
      openLog: openRunLog,
      enqueue: services.queue.enqueue,
      maxDetailsBytes: services.maxDetailsBytes,
      keepProgress: async (progress) => {
        await keepProgress(services.database, services.workerId, run.id, progress)
        services.onChange?.(run)
      },
    })
  } catch (error) {
    // It promises a result in any case. A run without one would go on for ever.
    return {
      status: 'failed',
      error: describeError(error, payload),
      retryable: true,
      details: {},
    }
  } finally {
    cancellations.forget(run.id)
  }
}

/** By which its worker has aborted it, or null. */
function reasonOf({ isAborted, reason }: Abort): string | null {
  return isAborted && isJobError(reason) ? reason.code : null
}

function toEnding({ failure }: Settlement, outcome: SettleOutcome, durationMs: number): RunEnding {
  if (outcome.kind === 'lost') return { kind: 'lost', durationMs }
  const { details } = outcome
  if (failure === null) return { kind: 'success', durationMs, details }
  return { kind: 'failed', durationMs, details, code: failure.error.code }
}

function toSettlement(
  { run, delivery, held, isAlone = false }: RunWork,
  result: RunResult,
  endedAt: Date,
  reason: string | null,
): Settlement {
  const ended = { id: run.id, endedAt, delivery, held }
  if (result.status === 'success') return { ...ended, details: result.details, failure: null }
  const { error, details } = result
  const next = afterFailure(result, isAlone, reason)
  return { ...ended, details: { ...details, error }, failure: { error, next } }
}

function afterFailure(
  { error, retryable }: { error: { code: string }; retryable: boolean },
  isAlone: boolean,
  reason: string | null,
): AfterFailure {
  // A handler may throw whatever code it likes: these are its worker's to say.
  const code = error.code === reason ? reason : null
  if (code === DRAINED) return 'redeliver'
  if (code === WORKER_LOST) return isAlone ? 'lostAlone' : 'lost'
  return retryable ? 'retry' : 'giveUp'
}

/** The error stands beside them in full. */
function toLogged(details: Details | null): Details | null {
  const { error, ...others } = details ?? {}
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return details
  const { code = null, message = null } = error
  return { ...others, error: { code, message } }
}

/** The code of a run that its own worker aborted in order to shut down. */
export const DRAINED = 'drained'

/** The code of a run whose worker came to an end that may be the run's own doing. */
export const WORKER_LOST = 'worker_lost'
