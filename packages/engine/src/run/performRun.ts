import type { Logger } from '../job/logger.ts'
import { isLevelOn } from '../store/containedLog.ts'
import type { Details, Handler } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import type { HostClient, HostTransaction } from '../job/hostTypes.ts'
import { createMask } from '../job/maskText.ts'
import type { Refusal } from '../job/rateLimited.ts'
import type { NewRun, TakenWork } from '../store/claimWork.ts'
import { parkWork } from '../store/parkWork.ts'
import type { Database } from '../store/database.ts'
import type { Enqueue } from '../job/enqueue.ts'
import { NOT_STARTED } from '../read/runOutcome.ts'
import type { AfterFailure } from './afterFailure.ts'
import type { Observers } from './combineObservers.ts'
import { Abort } from './abort.ts'
import type { Cancellations } from './cancellations.ts'
import { describeError, isJobError, toLoggedError } from './describeError.ts'
import { executeRun, type RunningRun, type RunResult } from './executeRun.ts'
import type { RunEnding } from './observer.ts'
import { createRunLog, type RunLog } from './runLog.ts'
import { COUNT_BY_EARLIER_ATTEMPTS_SQL, keepProgress, recordRunning } from './runs.ts'
import { pauseAfter } from './pauseAfter.ts'
import { classifyFailure, type IntendedEnd, type SettleOutcome, type Settler } from './settler.ts'

/*
 * A run's row in JobRun is in one of these states; performRun carries a run from the first to one of the last two.
 *
 *   (no row)  Its claim alone lists it. Most runs stay so until their end is written.
 *   running   Its worker wrote it before its first batch or progress (recordRunning).
 *   Whichever of these comes first ends both. The others then find the run ended; for its own worker its outcome is `lost`:
 *               its own worker's settler, once its handler has ended: success or failed;
 *               a round of another worker, when its own no longer lives: failed with `worker_lost`;
 *               a round of any worker, when its claim has expired: failed with `expired`;
 *               a round of its own worker, when the database has lost the end that was recorded: failed with `drained`.
 *   success   Final. The job that prunes runs deletes it after the retention's `runDays`.
 *   failed    Final. The same job deletes it after `failedDays`. A retry is another run.
 *
 * In this process it goes from one of these shapes to the next:
 *
 *   TakenWork      What its claim took: the work, its payload and its run, as a NewRun.
 *   RunningRun     While its handler runs, with all that the handler needs.
 *   RunResult      What the handler led to: details or an error.
 *   IntendedEnd    What the settler is to record of that, and how the job is retried.
 *   RunEnd         The same as endRuns writes it, with what becomes of the work. The rescue makes one of a LostRun.
 *   SettleOutcome  What the settler recorded: that end, or another in its place; or nothing, since the run was lost.
 *   RunEnding      What observers and the log are told of that.
 */

/** What all runs of a worker share. */
export interface RunServices {
  client: HostClient
  settler: Settler
  cancellations: Cancellations
  database: Database
  /** Enqueues for the handler of a run, in its own transaction. */
  enqueueFrom: (runId: string) => Enqueue<HostTransaction>
  workerId: string
  log: Logger
  now: () => Date
  observers?: Observers | undefined
  /** Whether JobRun keeps the last lines that a run logs. Default true. */
  keepLogs?: boolean | undefined
  /** Called when a run begins, after its progress was stored, and after it was settled. */
  onChange?: (run: NewRun) => void
}

/** What performRun calls for a run, and how. */
export interface RunManner {
  job: Job
  handler: Handler<never, never>
  /** Nothing else runs in the process, and the claim says so. Default false. */
  isAlone?: boolean
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
  const observation = beginRun(services, taken)
  // Not in here: thousands of runs wait for their ends at once, and the garbage collector copies what each holds meanwhile.
  const intended = await carryOut(services, taken, manner, observation)
  const { failure } = intended
  if (failure?.refusal) await park(services, taken, failure.refusal, failure.error.code)
  const outcome = await services.settler.settle(intended)
  return endRun(services, taken.run, observation, intended, outcome)
}

type Observation = ReturnType<Observers['runStarted']> | undefined

function beginRun({ observers, log, onChange }: RunServices, taken: TakenWork): Observation {
  const { run, envelope } = taken
  onChange?.(run)
  const observation = observers?.runStarted({ ...run, trace: envelope.trace ?? null })
  if (isLevelOn(log, 'info')) {
    const { trigger, scheduledFor, label } = run
    const fields = fieldsOf(run, observation)
    log.info(
      { ...fields, trigger, scheduledFor: scheduledFor ?? undefined, ...(label && { label }) },
      'job run started',
    )
  }
  return observation
}

/** Calls the handler, unless nobody wants that any more, and says what is to be settled. */
async function carryOut(
  services: RunServices,
  taken: TakenWork,
  manner: RunManner,
  observation: Observation,
): Promise<IntendedEnd> {
  const { log, now } = services
  const { run } = taken
  const abort = new Abort()
  // Most runs log nothing of their own.
  let kept: RunLog | undefined
  const openLog = () => {
    const own = log.child(fieldsOf(run, observation))
    if (services.keepLogs === false) return own
    kept ??= createRunLog(own, now, createMask(manner.job.redact))
    return kept.log
  }
  const execute = () => executeCancellably(services, taken, manner, abort, openLog)
  const unwanted = findUnwanted(taken, now)
  const result = unwanted
    ? notStarted(unwanted)
    : await (observation ? observation.within(execute) : execute())
  const intended = toIntendedEnd(taken, manner, result, now(), findAbortCode(abort))
  if (kept) intended.logs = kept.close()
  if (unwanted !== null) intended.failure = unwanted
  return intended
}

/** Before the end, which makes room for what is to wait. Where the database is away, the work itself waits all the same. */
async function park(
  { database, log }: RunServices,
  { run, held }: TakenWork,
  refusal: Refusal,
  reason: string,
): Promise<void> {
  const of = { id: run.id, name: run.name, claimId: held.id }
  await parkWork(database, of, refusal, reason).catch((error: unknown) =>
    log.warn(
      { err: error, ...fieldsOf(run, undefined) },
      'what a service refuses could not be parked',
    ),
  )
}

function endRun(
  { log, onChange }: RunServices,
  run: NewRun,
  observation: Observation,
  intended: IntendedEnd,
  outcome: SettleOutcome,
): RunEnding {
  const ended = outcome.kind === 'settled' ? (outcome.instead ?? intended) : intended
  onChange?.(run)

  const durationMs = ended.endedAt.getTime() - run.startedAt.getTime()
  const ending = toEnding(ended, outcome, durationMs)
  // A copy: an observer may change what it gets.
  observation?.ended({ ...ending })
  if (ending.kind === 'lost') {
    log.warn(fieldsOf(run, observation), 'job run lost: another worker has ended it')
    return ending
  }
  const { failure } = ended
  const level = failure?.next === 'refused' ? 'warn' : failure ? 'error' : 'info'
  if (isLevelOn(log, level)) {
    const { label } = run
    log[level](
      {
        ...fieldsOf(run, observation),
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
function fieldsOf({ name, id: runId, attempt }: NewRun, observation: Observation): object {
  return { ...observation?.logFields, name, runId, attempt }
}

type Unwanted = NonNullable<IntendedEnd['failure']>

/**
 * The failure of an attempt whose work has expired, was replaced, or has no payload; null for others. An expiry that is no instant
 * is none.
 */
function findUnwanted(
  { run, envelope: { expiresAt }, isReplaced, payloadMissing }: TakenWork,
  now: () => Date,
): Unwanted | null {
  const unwanted = (message: string): Unwanted => ({
    error: { code: 'expired', message },
    next: 'drop',
  })
  const again = run.attempt === 1 ? '' : ' again'
  if (isReplaced) return unwanted(`${NOT_STARTED}${again}: newer work has taken its unique key`)
  const at = Date.parse(expiresAt ?? '')
  if (at < now().getTime())
    return unwanted(`${NOT_STARTED}: it was to be started by ${new Date(at).toISOString()}`)
  if (payloadMissing === undefined) return null
  const message = `${NOT_STARTED}: its payload could not be read (${payloadMissing})`
  return { error: { code: 'payload_missing', message }, next: 'payloadMissing' }
}

function notStarted({ error }: Unwanted): RunResult {
  return { status: 'failed', error, retryable: false, details: {} }
}

/** Executes a run, open to cancellation meanwhile. */
async function executeCancellably(
  services: RunServices,
  taken: TakenWork,
  { job, handler, execute = executeRun }: RunManner,
  abort: Abort,
  openLog: () => Logger,
): Promise<RunResult> {
  const { run, envelope } = taken
  const { cancellations } = services
  const { payload } = envelope
  const write = once(() => speak(services, taken))
  try {
    // The database has lost the claim of a run that has not ended here, and this worker has claimed the work again.
    while (cancellations.isWatched(run.id)) await cancellations.lose(run.id)
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
      enqueue: services.enqueueFrom(run.id),
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
      error: describeError(error, createMask(job.redact)),
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

/** Writes the run into JobRun, before anything is stored in its row. It tries again while the database is away. */
async function speak({ database, workerId, log }: RunServices, taken: TakenWork): Promise<void> {
  taken.hasSpoken = true
  for (let tries = 1; ; tries++) {
    try {
      return await recordRunning(database, workerId, taken)
    } catch (error) {
      const failure = classifyFailure(error)
      if (failure === 'refused' || tries === (failure === 'contended' ? MAX_LOOKS : MAX_TRIES))
        throw error
      log.warn(
        { err: error, runId: taken.run.id },
        'a run that has started could not be recorded, trying again',
      )
      await pauseAfter(tries)
    }
  }
}

/** With the pauses between them about a quarter of a minute, for which the handler's first batch waits. */
const MAX_TRIES = 9
/** With the pauses between them some five minutes, for which it waits while somebody has locked what it needs. */
const MAX_LOOKS = 64

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

function toEnding({ failure }: IntendedEnd, outcome: SettleOutcome, durationMs: number): RunEnding {
  if (outcome.kind === 'lost') return { kind: 'lost', durationMs }
  const { details } = outcome
  if (failure === null) return { kind: 'success', durationMs, details }
  return { kind: 'failed', durationMs, details, code: failure.error.code }
}

/** What the settler has to record of a result. */
function toIntendedEnd(
  taken: TakenWork,
  { job, isAlone = false }: RunManner,
  result: RunResult,
  now: Date,
  reason: string | null,
): IntendedEnd {
  // The clock may have been set back meanwhile.
  const endedAt = new Date(Math.max(now.getTime(), taken.run.startedAt.getTime()))
  const of = { taken, retry: job.retry, endedAt }
  if (result.status === 'success')
    return { ...of, details: result.details, failure: null, result: result.result }
  const { error, details, refusal } = result
  const next = afterFailure(result, isAlone, reason)
  const failure = { error, next, ...(next === 'refused' && refusal && { refusal }) }
  return { ...of, details: { ...details, error }, failure }
}

function afterFailure(
  { error, retryable, refusal }: Extract<RunResult, { status: 'failed' }>,
  isAlone: boolean,
  reason: string | null,
): AfterFailure {
  // A handler may throw any code. Only an abort by its worker makes these two count.
  const code = error.code === reason ? reason : null
  if (code === DRAINED) return 'redeliver'
  if (code === WORKER_LOST) return isAlone ? 'lostAlone' : 'lost'
  if (refusal !== undefined) return 'refused'
  return retryable ? 'retry' : 'giveUp'
}

/** Details without the error's stack and cause: the log line has the whole error as `err`. */
function toLogged(details: Details | null): Details | null {
  const { error, ...others } = details ?? {}
  if (typeof error !== 'object' || error === null || Array.isArray(error)) return details
  const { code = null, message = null } = error
  return { ...others, error: { code, message } }
}

/** The code of a run whose work its own worker gave back: it shuts down, or the database has lost the run's end. */
export const DRAINED = 'drained'

/** The code of a run whose worker came to an end that may be the run's own doing. */
export const WORKER_LOST = 'worker_lost'
