import type { Logger } from '../job/logger.ts'
import { isLevelOn } from '../store/containedLog.ts'
import type { Details, Handler } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import type { HostClient } from '../job/hostTypes.ts'
import type { NewRun, TakenWork } from '../store/claimWork.ts'
import { storableUnchanged } from '../job/storable.ts'
import { MAX_PAYLOAD_BYTES } from '../job/storablePayload.ts'
import type { Envelope } from '../store/envelope.ts'
import type { Database } from '../store/database.ts'
import type { AfterFailure, Queue } from '../store/queue.ts'
import type { Observers } from './combineObservers.ts'
import { Abort } from './abort.ts'
import type { Cancellations } from './cancellations.ts'
import { describeError, isJobError, toLoggedError } from './describeError.ts'
import { executeRun, type RunningRun, type RunResult } from './executeRun.ts'
import type { RunEnding } from './observer.ts'
import { createRunLog, type RunLog } from './runLog.ts'
import { COUNT_BY_EARLIER_ATTEMPTS_SQL, keepProgress } from './runs.ts'
import type { EndedRun, SettleOutcome, Settler } from './settler.ts'
import type { WriteOut } from './writeOuts.ts'

/*
 * A run's row in JobRun is in one of these states; performRun carries a run from the first to one of the last two.
 *
 *   (no row)  A start holds it (starts.ts), until the settler writes its success, or somebody writes it out as running.
 *   running   A claim, or recordRun for a run that did not come from the queue, wrote it. It ends by the first of these:
 *               its own worker's settler, once its handler has ended: success or failed;
 *               the rescue, when its worker no longer lives: failed with `worker_lost`;
 *               the claim that takes its work again, or else a round of any worker, when the queue gave the work up or
 *               out again: failed with `expired`.
 *             Every other writer then finds that the run is no longer running, and its outcome there is `lost`.
 *             performSuspect deletes the row of a run that it gives back before it started.
 *   success   Final. The job that prunes runs deletes it after the retention's `runDays`.
 *   failed    Final. The same job deletes it after `failedDays`. A retry is another run.
 */

/** What all runs of a worker share. */
export interface RunServices {
  client: HostClient
  settler: Settler
  cancellations: Cancellations
  database: Database
  queue: Pick<Queue, 'enqueue'>
  workerId: string
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** How large what a handler returns may be, as JSON. Default 65,536. */
  maxDetailsBytes?: number | undefined
  /** Whether JobRun keeps the last lines that a run logs. Default true. */
  keepLogs?: boolean | undefined
  /** Called when a run begins, after its progress was stored, and after it was settled. */
  onChange?: (run: NewRun) => void
  /** Writes out a run that its claim did not write. */
  writeOut: WriteOut
}

/** What performRun calls for a run, and how. */
export interface RunManner {
  job: Job
  handler: Handler<never, never>
  /** Nothing else runs in the process, and the claim says so (performSuspect). Default false. */
  isAlone?: boolean
  /** What may have been aborted before the run began. Default: a new one. */
  abort?: Abort
  /** Calls the handler and returns a result whatever happens. Default: in this process. */
  execute?: Execute | undefined
}

export type Execute = (running: RunningRun) => Promise<RunResult>

/**
 * Carries a run from its first log line to its last, whoever started it, and settles it whatever the handler, the schema,
 * the observers and the logger do.
 */
export async function performRun(
  services: RunServices,
  taken: TakenWork,
  manner: RunManner,
): Promise<RunEnding> {
  const { settler, log, now } = services
  const { run, envelope } = taken
  services.onChange?.(run)
  const observation = services.observers?.runStarted({ ...run, trace: envelope.trace ?? null })
  const fields = () => fieldsOf(run, observation?.logFields)
  if (isLevelOn(log, 'info')) {
    const { trigger, scheduledFor, label } = run
    log.info(
      { ...fields(), trigger, scheduledFor: scheduledFor ?? undefined, ...(label && { label }) },
      'job run started',
    )
  }

  const { abort = new Abort() } = manner
  // Most runs log nothing of their own.
  let kept: RunLog | undefined
  const openLog = () => {
    const own = log.child(fields())
    if (services.keepLogs === false) return own
    kept ??= createRunLog(own, now)
    return kept.log
  }
  const isByHand = manner.job.guard !== null && run.workId === null
  // Before its handler can change it.
  const byHand = isByHand ? storableUnchanged(envelope.payload ?? {}, MAX_PAYLOAD_BYTES) : null
  const execute = () => carryOut(services, taken, manner, abort, openLog)
  const unwanted = findUnwanted(envelope, now)
  const result = unwanted ?? (await (observation ? observation.within(execute) : execute()))
  const intended = toEndedRun(taken, manner, result, now(), findAbortCode(abort))
  if (kept) intended.logs = kept.close(envelope.payload)
  if (byHand?.kind === 'stored' && intended.failure?.error.code === 'guard_blocked')
    intended.payloadToKeep = byHand.value
  if (unwanted !== null) intended.failure = { error: unwanted.error, next: 'drop' }
  const outcome = await settler.settle(intended)
  const ended = outcome.kind === 'settled' ? (outcome.instead ?? intended) : intended
  services.onChange?.(run)

  const durationMs = ended.endedAt.getTime() - run.startedAt.getTime()
  const ending = toEnding(ended, outcome, durationMs)
  // A copy: an observer may change what it gets.
  observation?.ended({ ...ending })
  if (ending.kind === 'lost') {
    log.warn(fields(), 'job run lost: another worker has ended it')
    return ending
  }
  const { failure } = ended
  const level = failure ? 'error' : 'info'
  if (isLevelOn(log, level)) {
    const { label } = run
    log[level](
      {
        ...fields(),
        ...(label && { label }),
        status: ending.kind,
        durationMs,
        details: toLogged(ending.details),
        ...(failure && { err: toLoggedError(failure.error) }),
      },
      'job run finished',
    )
  }
  return ending
}

/** The fields of all that is logged about a run. */
function fieldsOf({ name, id: runId, attempt }: NewRun, observed: object | undefined): object {
  return { ...observed, name, runId, attempt }
}

/** The failure of an attempt whose work has expired or was replaced; null for others. Foreign envelopes may hold anything. */
function findUnwanted(
  { expiresAt, replacedBy }: Envelope,
  now: () => Date,
): Extract<RunResult, { status: 'failed' }> | null {
  const unwanted = (message: string) => ({
    status: 'failed' as const,
    error: { code: 'expired', message },
    retryable: false,
    details: {},
  })
  if (typeof replacedBy === 'string')
    return unwanted('Not started again: newer work has taken its unique key')
  const at = typeof expiresAt === 'string' ? Date.parse(expiresAt) : NaN
  if (Number.isNaN(at) || at >= now().getTime()) return null
  return unwanted(`Not started: it was to be started by ${new Date(at).toISOString()}`)
}

/** Executes a run, open to cancellation meanwhile. */
async function carryOut(
  services: RunServices,
  taken: TakenWork,
  { job, handler, execute = executeRun }: RunManner,
  abort: Abort,
  openLog: () => Logger,
): Promise<RunResult> {
  const { run, envelope } = taken
  const { cancellations } = services
  const { payload } = envelope
  const write = once(() => writeOut(services, taken))
  try {
    cancellations.watch(run.id, abort)
    return await execute({
      run,
      job,
      handler,
      payload,
      approvedRows:
        envelope.approvedRows === undefined ? null : await findApprovedRows(services, taken),
      client: services.client,
      workerId: services.workerId,
      schema: services.database.schema,
      now: services.now,
      abort,
      openLog,
      enqueue: services.queue.enqueue,
      maxDetailsBytes: services.maxDetailsBytes,
      write,
      keepProgress: async (progress) => {
        await write()
        await keepProgress(services.database, services.workerId, run.id, progress)
        services.onChange?.(run)
      },
    })
  } catch (error) {
    // `execute` promises never to reject. If it does all the same, the run would stay running until its worker stops.
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

/** How many rows are left of the approval of a run's work: what its earlier attempts have counted in batches is used up. */
async function findApprovedRows(
  { database, now }: RunServices,
  { run, envelope: { approvedRows, approvedUntil } }: TakenWork,
): Promise<number | null> {
  // A client of an older version says no end.
  if (typeof approvedRows !== 'number' || Date.parse(approvedUntil ?? '') < now().getTime())
    return null
  if (run.attempt === 1) return approvedRows
  const { rows } = await database.query<{ count: number }>(COUNT_BY_EARLIER_ATTEMPTS_SQL, [
    run.workId,
    run.attempt,
  ])
  return Math.max(0, approvedRows - (rows[0]?.count ?? 0))
}

/** Writes an unwritten run out, before anything is stored in its row. */
async function writeOut(services: RunServices, taken: TakenWork): Promise<void> {
  taken.hasSpoken = true
  const { run, held } = taken
  if (!taken.isUnwritten) return
  held.hasClaim = true
  await services.writeOut(held.id, run.id)
  taken.isUnwritten = false
}

/** Runs `work` once; after a failure the next call tries again. */
function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined
  return async () => {
    done ??= work()
    try {
      await done
    } catch (error) {
      done = undefined
      throw error
    }
  }
}

/** The code with which its worker has aborted it, or null. */
function findAbortCode({ isAborted, reason }: Abort): string | null {
  return isAborted && isJobError(reason) ? reason.code : null
}

function toEnding({ failure }: EndedRun, outcome: SettleOutcome, durationMs: number): RunEnding {
  if (outcome.kind === 'lost') return { kind: 'lost', durationMs }
  const { details } = outcome
  if (failure === null) return { kind: 'success', durationMs, details }
  return { kind: 'failed', durationMs, details, code: failure.error.code }
}

/** What the settler has to record of a result. */
function toEndedRun(
  { run, held, isUnwritten }: TakenWork,
  { isAlone = false }: RunManner,
  result: RunResult,
  now: Date,
  reason: string | null,
): EndedRun {
  // The clock may have been set back meanwhile.
  const endedAt = new Date(Math.max(now.getTime(), run.startedAt.getTime()))
  const of = { run, held, isUnwritten, endedAt }
  if (result.status === 'success')
    return { ...of, details: result.details, failure: null, result: result.result }
  const { error, details } = result
  // What somebody tries by hand is a dead letter again, whatever ends it.
  const next = run.trigger === 'cli' ? 'giveUp' : afterFailure(result, isAlone, reason)
  return { ...of, details: { ...details, error }, failure: { error, next } }
}

function afterFailure(
  { error, retryable }: { error: { code: string }; retryable: boolean },
  isAlone: boolean,
  reason: string | null,
): AfterFailure {
  // A handler may throw any code. Only an abort by its worker makes these two count.
  const code = error.code === reason ? reason : null
  if (code === DRAINED) return 'redeliver'
  if (code === WORKER_LOST) return isAlone ? 'lostAlone' : 'lost'
  return retryable ? 'retry' : 'giveUp'
}

/** Details without the error's stack and cause: the log line has the whole error as `err`. */
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
