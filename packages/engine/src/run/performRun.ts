import type { Logger } from '../job/logger.ts'
import { isLevelOn } from '../database/containedLog.ts'
import type { Details, Handler } from '../job/handler.ts'
import type { Job } from '../job/defineJob.ts'
import type { HostClient, HostTransaction } from '../job/hostTypes.ts'
import { createMask } from '../values/maskText.ts'
import type { Refusal } from '../job/rateLimited.ts'
import { parkWork } from '../queue/parkWork.ts'
import type { Database } from '../database/database.ts'
import type { Schema } from '../database/schema.ts'
import type { End } from '../queue/endRuns.ts'
import { countRetriesLeft, NO_FAILURES, type Taken } from '../queue/taken.ts'
import type { Enqueue } from '../job/enqueue.ts'
import { NEVER_IN_TIME, NOT_STARTED } from '../job/runOutcome.ts'
import { decideNext, giveUp, type AfterFailure } from './afterFailure.ts'
import type { Observers } from './combineObservers.ts'
import { Abort } from './abort.ts'
import type { Cancellations } from './cancellations.ts'
import { describeError, isJobError, toLoggedError, type ErrorDescription } from './describeError.ts'
import { describeRun, executeRun, type Execution, type RunResult } from './executeRun.ts'
import type { RunEnding } from './observer.ts'
import type { LiveLogs } from './liveLogs.ts'
import type { Progress } from './progress.ts'
import { createRunLog, type RunLog } from './runLog.ts'
import { COUNT_BY_EARLIER_ATTEMPTS_SQL, keepProgress, recordRunning } from './runs.ts'
import { pauseAfter } from './pauseAfter.ts'
import { classifyFailure, type Settler } from './settler.ts'

/*
 * A run's row in JobRun is in one of these states; performRun carries a run from the first to one of the last two.
 *
 *   (no row)  Its claim alone lists it. Most runs stay so until their end is written.
 *   running   Its worker wrote it before its first batch or progress (recordRunning), or with its first log lines.
 *   The first of these ends both. The others then find the run ended; for its own worker its end is `lost`:
 *               its own worker's settler, once its handler has ended: success or failed;
 *               a round of another worker, when its own no longer lives: failed with `worker_lost`;
 *               a round of any worker, when its claim has expired: failed with `expired`;
 *               a round of its own worker, when the database has lost the end that was recorded: failed with `drained`.
 *   suspended Final. Its work waits in a step. Another run continues it.
 *   success   Final. The job that prunes runs deletes it after the retention's `runDays`.
 *   failed    Final. The same job deletes it after `failedDays`. A retry is another run.
 *
 * In this process it is one of these after the other:
 *
 *   Taken      What the claim took: the work, its payload and its run.
 *   Execution  While the handler runs: the above, and what the handler needs. It is dropped when the handler has ended: thousands
 *              of runs wait for their ends at once, and the garbage collector copies what each holds meanwhile.
 *   End        What the settler records, and what becomes of the work. The rescue makes one of a lost run.
 *
 * RunEnding is what the settler has recorded, as observers see it.
 */

/** The values that all runs of a worker share. */
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
  /** Writes them while the run goes on. Default: they are written with its end. */
  liveLogs?: LiveLogs | undefined
  /** Draws the jitter of pauses before retries. Default: Math.random. */
  random?: (() => number) | undefined
  /** Called when a run begins, after its progress was stored, and after it was settled. */
  onChange?: (run: NamedRun) => void
}

/** How the runs of a job are performed. */
export interface RunManner {
  job: Job
  handler: Handler<never, never>
  /** No other run is under way in the process, and the claim records that. Default false. */
  isAlone?: boolean
  /** Calls the handler and always returns a result. Default: in this process. */
  execute?: Execute | undefined
}

export type Execute = (execution: OwnedExecution) => Promise<RunResult>

/** A run of this worker, with all that its claim took. */
export interface OwnedExecution extends Execution {
  readonly taken: Taken
  readonly observation: Observation
}

/** The parts of a run in log lines. */
type NamedRun = Pick<Taken, 'id' | 'name' | 'attempt' | 'label'>

type Observation = ReturnType<Observers['runStarted']> | undefined

/**
 * Carries a run from its first log line to its last, and settles it in any case: the handler, the schema, the observers and the
 * logger do. It is not async, nor is settleRun: their frames would keep the payload until the run is settled.
 */
export function performRun(
  services: RunServices,
  taken: Taken,
  manner: RunManner,
): Promise<RunEnding> {
  const { id, name, attempt, label } = taken
  const run: NamedRun = { id, name, attempt, label }
  services.onChange?.(taken)
  const observation = observe(services, taken, manner)
  const execution = new OwnExecution(services, taken, manner, observation)
  const unwanted = findUnwanted(taken, manner.job, services.now)
  if (unwanted !== null)
    return settleRun(services, run, observation, toEnd(execution, unwanted.result, unwanted.after))
  const end = (result: RunResult) => {
    services.cancellations.forget(execution.abort)
    services.liveLogs?.forget(id)
    return settleRun(services, run, observation, toEnd(execution, result))
  }
  return carryOut(execution, manner.execute ?? executeRun).then(end, (error: unknown) => {
    // `execute` promises never to reject. Without this the run would stay running until its worker stops.
    const description = describeError(error, createMask(manner.job.redact))
    return end({ status: 'failed', error: description, retryable: true, details: {} })
  })
}

/** Calls the observers and writes a log line: the run begins. */
function observe({ observers, log }: RunServices, taken: Taken, { job }: RunManner): Observation {
  const { workId, startedAt, facts, label } = taken
  const observation = observers?.runStarted({
    ...describeRun({ taken, retriesLeft: countRetriesLeft(taken, job) }),
    ...{ workId, startedAt, trace: facts.trace ?? null },
  })
  if (isLevelOn(log, 'info')) {
    const { trigger = 'queue', scheduledFor } = facts
    log.info(
      { ...fieldsOf(taken, observation), trigger, scheduledFor, ...(label && { label }) },
      'job run started',
    )
  }
  return observation
}

/** Calls the handler. */
async function carryOut(execution: OwnExecution, execute: Execute): Promise<RunResult> {
  const { services, taken, observation, abort } = execution
  const { cancellations } = services
  // The database has lost the claim of a run that has not ended here, and this worker has claimed the work again.
  while (cancellations.isWatched(taken.id)) await cancellations.lose(taken.id)
  cancellations.watch(abort)
  if (taken.facts.approvedRows !== undefined)
    execution.approvedRows = await findApprovedRows(services, taken)
  return await (observation ? observation.within(() => execute(execution)) : execute(execution))
}

/** Records the end, then calls the observers and writes a log line. */
function settleRun(
  services: RunServices,
  run: NamedRun,
  observation: Observation,
  end: End,
): Promise<RunEnding> {
  const { log, settler, onChange } = services
  const refused = end.refusal !== undefined
  const parked = refused ? park(services, run, end) : null
  const settled = parked === null ? settler.settle(end) : parked.then(() => settler.settle(end))
  return settled.then((ending) => {
    onChange?.(run)
    // A copy: an observer may change what it gets.
    observation?.ended({ ...ending })
    if (ending.kind === 'lost')
      log.warn(fieldsOf(run, observation), 'job run lost: another worker has ended it')
    else if (ending.kind === 'suspended')
      log.info(fieldsOf(run, observation), 'job run suspended: its work waits in a step')
    else logEnd(services, run, observation, ending, refused)
    return ending
  })
}

function logEnd(
  { log }: RunServices,
  run: NamedRun,
  observation: Observation,
  ending: Extract<RunEnding, { details: unknown }>,
  refused: boolean,
): void {
  const { kind: status, durationMs, details } = ending
  const level = refused ? 'warn' : status === 'failed' ? 'error' : 'info'
  if (!isLevelOn(log, level)) return
  const error = status === 'failed' && (details?.['error'] as ErrorDescription | undefined)
  log[level](
    {
      ...fieldsOf(run, observation),
      ...(run.label && { label: run.label }),
      ...{ status, durationMs, details: toLogged(details) },
      ...(error && { err: toLoggedError(error) }),
    },
    'job run finished',
  )
}

/** Called before the end, which makes room for other work of the limit. If the database is away, only this work waits. */
async function park(
  { database, log }: RunServices,
  run: NamedRun,
  { claim, refusal, error }: End,
): Promise<void> {
  const of = { id: run.id, name: run.name, claimId: claim.id }
  await parkWork(database, of, refusal as Refusal, error?.code ?? '').catch((err: unknown) =>
    log.warn({ err, ...fieldsOf(run, undefined) }, 'what a service refuses could not be parked'),
  )
}

/** The fields of all that is logged about a run. */
function fieldsOf({ name, id: runId, attempt }: NamedRun, observation: Observation): object {
  return { ...observation?.logFields, name, runId, attempt }
}

/**
 * The result of an attempt whose work has expired, was replaced, or has no payload; null for others. An expiry that is no instant
 * is none.
 */
function findUnwanted(
  { attempt, facts: { expiresAt, begunAt }, isReplaced, payloadMissing }: Taken,
  { steps }: Job,
  now: () => Date,
): { result: RunResult; after: AfterFailure } | null {
  const again = attempt === 1 ? '' : ' again'
  if (isReplaced) return drop(`${again}: newer work has taken its unique key`)
  const at = expiresAt === undefined ? Infinity : Date.parse(expiresAt)
  if (at < Infinity && at < now().getTime())
    return drop(`: ${NEVER_IN_TIME} ${new Date(at).toISOString()}`)
  // Another version of the product defines the job with steps, and is to go on with its work.
  if (begunAt !== undefined && steps === null) {
    const why = ': it has steps, and its job has none in this version'
    return {
      result: { ...notStarted('steps_missing', why), retryAfterMs: STEPS_MISSING_DELAY_MS },
      after: 'refused',
    }
  }
  if (payloadMissing === null) return null
  const why = `: its payload could not be read (${payloadMissing})`
  return { result: notStarted('payload_missing', why), after: 'payloadMissing' }
}

const STEPS_MISSING_DELAY_MS = 15_000

const drop = (why: string) => ({
  result: notStarted('expired', why),
  after: 'drop' as const,
})

function notStarted(code: string, why: string): Failed {
  const error = { code, message: `${NOT_STARTED}${why}` }
  return { status: 'failed', error, retryable: false, details: {} }
}

/** A run of this worker. It is a class because every run has one: objects with functions of their own take longer to make. */
class OwnExecution implements OwnedExecution {
  readonly services: RunServices
  readonly taken: Taken
  readonly observation: Observation
  readonly isAlone: boolean
  readonly retriesLeft: number
  readonly abort: Abort
  readonly job: Job
  readonly handler: Handler<never, never>
  readonly client: HostClient
  readonly workerId: string
  readonly schema: Schema
  readonly now: () => Date
  approvedRows: number | null = null
  /** Whether JobRun may have the run: it has stored a batch, its progress or its log. */
  hasRow = false
  /** Most runs log nothing of their own. */
  kept: RunLog | null = null
  #writing: Promise<void> | null = null

  constructor(
    services: RunServices,
    taken: Taken,
    { job, handler, isAlone = false }: RunManner,
    observation: Observation,
  ) {
    this.services = services
    this.taken = taken
    this.observation = observation
    this.isAlone = isAlone
    this.abort = new Abort(taken.name, taken.id, job.timeoutMs)
    this.retriesLeft = countRetriesLeft(taken, job)
    this.job = job
    this.handler = handler
    this.client = services.client
    this.workerId = services.workerId
    this.schema = services.database.schema
    this.now = services.now
  }

  get enqueue() {
    return this.services.enqueueFrom(this.taken.id)
  }

  openLog(): Logger {
    const { log, now, keepLogs, liveLogs } = this.services
    const own = log.child(fieldsOf(this.taken, this.observation))
    if (keepLogs === false) return own
    this.kept ??= createRunLog(own, now, createMask(this.job.redact))
    liveLogs?.watch(this)
    return this.kept.log
  }

  /** Writes it once. After a failure the next call tries again. */
  async write(): Promise<void> {
    this.hasRow = true
    this.#writing ??= writeRow(this.services, this.taken)
    try {
      await this.#writing
    } catch (error) {
      this.#writing = null
      throw error
    }
  }

  async keepProgress(progress: Progress): Promise<void> {
    const { database, workerId, onChange } = this.services
    await this.write()
    await keepProgress(database, workerId, this.taken.id, progress)
    onChange?.(this.taken)
  }
}

/** How many rows are left of the approval of a run's work: what its earlier attempts have counted in batches is used up. */
async function findApprovedRows(
  { database, now }: RunServices,
  { workId, attempt, facts: { approvedRows, approvedUntil } }: Taken,
): Promise<number | null> {
  // A client of an older version gives an approval no end.
  if (typeof approvedRows !== 'number' || Date.parse(approvedUntil ?? '') < now().getTime())
    return null
  if (attempt === 1) return approvedRows
  const { rows } = await database.query<{ count: number }>(COUNT_BY_EARLIER_ATTEMPTS_SQL, [
    workId,
    attempt,
  ])
  return Math.max(0, approvedRows - (rows[0]?.count ?? 0))
}

/** Writes the run into JobRun, before anything is stored in its row. It tries again while the database is away. */
async function writeRow({ database, workerId, log }: RunServices, taken: Taken): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await recordRunning(database, workerId, taken)
    } catch (error) {
      const failure = classifyFailure(error)
      if (failure === 'refused' || tries === (failure === 'contended' ? MAX_LOOKS : MAX_TRIES))
        throw error
      log.warn(
        { err: error, runId: taken.id },
        'a run that has started could not be recorded, trying again',
      )
      await pauseAfter(tries)
    }
  }
}

/** With the pauses between them about a quarter of a minute, for which the handler's first batch waits. */
const MAX_TRIES = 9
/** With the pauses between them some five minutes, for which it waits for rows that others have locked. */
const MAX_LOOKS = 64

type Failed = Extract<RunResult, { status: 'failed' }>

function afterFailure(
  { abort, isAlone, job, taken }: OwnExecution,
  { error, retryable, refusal, retryAfterMs }: Failed,
): AfterFailure {
  // A handler may throw any code. Only an abort by its worker makes these two count.
  const { isAborted, reason } = abort
  const code = isAborted && isJobError(reason) && error.code === reason.code ? reason.code : null
  if (code === DRAINED) return 'redeliver'
  if (code === WORKER_LOST) return isAlone ? 'lostAlone' : 'lost'
  if (code === 'cancelled' && job.steps !== null && !taken.facts.cancelled) return 'redeliver'
  if (refusal !== undefined) return 'refused'
  if (retryAfterMs !== undefined) return 'stepFailed'
  return retryable ? 'retry' : 'giveUp'
}

/** Makes the End of a result. */
function toEnd(execution: OwnExecution, result: RunResult, unwanted?: AfterFailure): End {
  const { services, taken, kept, hasRow, job } = execution
  const { id: runId, claim, startedAt, isPlain } = taken
  const now = services.now()
  const success: End = {
    runId,
    claim,
    startedAt,
    // The clock may have been set back meanwhile.
    endedAt: now < startedAt ? startedAt : now,
    error: null,
    details: toText(result.details),
    logs: kept?.close() ?? null,
    result: null,
    hasRow,
    isPlain,
    isDurable: job.steps !== null,
    // Cancelled work undoes its steps, however long that takes.
    deadlineMs: taken.facts.cancelled ? null : (job.deadlineMs ?? null),
    next: DONE,
    unstorable: giveUp(taken, 'details_unstorable'),
  }
  const forgives = result.hasNewMemo === true && { forgives: taken }
  if (result.status === 'failed')
    return { ...success, ...toFailure(execution, result, unwanted), ...forgives }
  if (result.status === 'suspended') {
    const { waits, until, delayMs } = result
    return {
      ...success,
      ...forgives,
      isPlain: false,
      next: { kind: 'suspend', waits, until, delayMs },
    }
  }
  return result.result === undefined ? success : { ...success, result: result.result }
}

const DONE = { kind: 'done' } as const

function toFailure(execution: OwnExecution, result: Failed, unwanted?: AfterFailure) {
  const { services, taken, job, hasRow: hasProgress } = execution
  const { code, message } = result.error
  const after = unwanted ?? afterFailure(execution, result)
  const refusal = after === 'refused' ? result.refusal : undefined
  const failed = {
    ...{ ...taken, hasProgress, retryAfterMs: refusal?.retryAfterMs ?? result.retryAfterMs },
    ...(result.hasNewMemo === true && NO_FAILURES),
  }
  const { next, costs } = decideNext(failed, job.retry, after, code, services.random)
  const goesOn = next.kind === 'again'
  // For any error: the work was cancelled, and its steps may not be undone.
  const error: ErrorDescription =
    taken.facts.cancelled && job.steps !== null && !goesOn && code !== 'cancelled'
      ? { ...result.error, code: 'cancelled', message: describeUndone(`${code}: ${message}`) }
      : result.error
  return {
    // The queue's rows get no stack: the run has it.
    error: { code: error.code, message: error.message },
    details: toText({ ...result.details, error }),
    next: goesOn && result.waits !== undefined ? { ...next, waits: result.waits } : next,
    ...(result.failedStep && { failedStep: result.failedStep }),
    ...(costs && { costs }),
    ...(refusal && { refusal }),
  }
}

/** The error message of cancelled work that failed to undo its steps. */
export const describeUndone = (why: string) =>
  `Somebody cancelled the work. What it has done may not be undone: ${why}`

function toText(details: Details): string | null {
  return Object.keys(details).length === 0 ? null : JSON.stringify(details)
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
