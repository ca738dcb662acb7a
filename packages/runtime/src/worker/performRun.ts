import type { Logger } from 'pino'
import type { Handler, Job, JobsPrismaClient, TraceContext } from '../contract/index.ts'
import type { Database } from '../queue/database.ts'
import type { AfterFailure, DeliveryRef, Queue } from '../queue/queue.ts'
import type { Observers } from './combineObservers.ts'
import { Abort } from './abort.ts'
import type { Cancellations } from './createCancellations.ts'
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

/** A recorded run's way from its first log line to its last, whoever started it. */
export async function performRun(services: RunServices, work: RunWork): Promise<Performance> {
  const { settler, cancellations, log, now } = services
  const { run } = work
  services.onChange?.(run)
  const observation = services.observers?.runStarted({ ...run, trace: work.trace ?? null })
  const fields = {
    name: run.name,
    runId: run.id,
    attempt: run.attempt,
    ...observation?.logFields,
  }
  log.info(
    { ...fields, trigger: run.trigger, scheduledFor: run.scheduledFor ?? undefined },
    'job run started',
  )

  const abort = new Abort()
  cancellations.watch(run.id, abort)
  const { execute: carryOut = executeRun } = work
  const execute = () =>
    carryOut({
      run,
      job: work.job,
      handler: work.handler,
      payload: work.payload,
      approvedRows: work.approvedRows,
      prisma: services.prisma,
      workerId: services.workerId,
      now,
      abort,
      openLog: () => log.child(fields),
      enqueue: services.queue.enqueue,
      keepProgress: async (progress) => {
        await keepProgress(services.database, services.workerId, run.id, progress)
        services.onChange?.(run)
      },
    })
  const result = await (observation ? observation.within(execute) : execute())
  cancellations.forget(run.id)
  const settlement = toSettlement(work, result, now())
  const outcome = await settler.settle(settlement)
  services.onChange?.(run)

  const durationMs = settlement.endedAt.getTime() - run.startedAt.getTime()
  observation?.ended(toEnding(settlement, outcome, durationMs))
  if (outcome.kind === 'lost') {
    log.warn(fields, 'job run lost: another worker has ended it')
  } else {
    const level = settlement.failure ? 'error' : 'info'
    log[level](
      {
        ...fields,
        status: settlement.failure === null ? 'success' : 'failed',
        durationMs,
        details: outcome.details,
      },
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
  { run, delivery, held, isAlone = false }: RunWork,
  result: RunResult,
  endedAt: Date,
): Settlement {
  const ended = { id: run.id, endedAt, delivery, held }
  if (result.status === 'success') return { ...ended, details: result.details, failure: null }
  const { error, details } = result
  return {
    ...ended,
    details: { ...details, error },
    failure: { error, next: afterFailure(result, isAlone) },
  }
}

function afterFailure(
  { error, retryable }: { error: { code: string }; retryable: boolean },
  isAlone: boolean,
): AfterFailure {
  if (error.code === DRAINED) return 'redeliver'
  if (error.code === WORKER_LOST) return isAlone ? 'lostAlone' : 'lost'
  return retryable ? 'retry' : 'giveUp'
}

/** The code of a run that its own worker aborted in order to shut down. */
export const DRAINED = 'drained'

/** The code of a run whose worker came to an end that may be the run's own doing. */
export const WORKER_LOST = 'worker_lost'
