import { setTimeout as pause } from 'node:timers/promises'
import { JobError } from '../job/jobError.ts'
import type { Job } from '../job/defineJob.ts'
import type { ResultOf } from '../job/handler.ts'
import { checkAwaited } from '../arguments/queries.ts'
import { askSchema, describeIssues } from '../values/askSchema.ts'
import { UnansweredError } from '../database/answerInTime.ts'
import { settlesWithin } from '../database/settlesWithin.ts'
import { STATE_OF_WORK_SQL, type StateOfWork } from './getWork.ts'
import type { JobsReader } from './reader.ts'

/**
 * The outcome of a piece of work. `runId` is its last run; null if no run of it is kept.
 *   success    `result` is null for a job without one.
 *   failed     It was given up after its last attempt.
 *   cancelled  A person or program cancelled it.
 *   expired    It did not start or end in time.
 *   gone       It is unknown: discarded, pruned, or never committed.
 *   pending    It waits, runs, or will be retried.
 */
export type WorkResult<Result> =
  | { kind: 'success'; runId: string; result: [Result] extends [never] ? null : Result }
  | { kind: 'failed'; runId: string | null; error: { code: string; message: string } }
  | { kind: 'cancelled'; runId: string | null }
  | { kind: 'expired'; runId: string | null }
  | { kind: 'gone' }
  | { kind: 'pending' }

export interface AwaitResultOptions {
  /** Maximum wait for its end, in milliseconds; 0 looks once, Infinity has no limit. Default 30,000. */
  timeoutMs?: number
  /** Ends the wait: it then rejects with the signal's reason. */
  signal?: AbortSignal
}

/** The pause after the first look; it doubles after each further one. */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 1_000

/** An error of syntax, access or the database's name would be the same at the next look. */
const REFUSED = /^(?:42|3D|3F|28)/

/** Time beyond the caller's maximum that a look may take: the connection may have lost its other end. */
const LAST_LOOK_MS = 5_000

/**
 * Waits until a piece of work has ended, and returns its outcome. It queries the database, with pauses of up to a second:
 * workers send no notification of results. If the database does not answer, it tries again until its time is over or `isOpen`
 * reports that the reader is closed. It waits at most 5 s longer for an answer.
 * @throws JobError `result_invalid` if this version's schema refuses the stored result
 * @throws the error of the last look, if that failed
 */
export async function awaitResult<J extends Job>(
  { reader, isOpen }: { reader: JobsReader; isOpen: () => boolean },
  job: J,
  workId: string,
  options: AwaitResultOptions = {},
): Promise<WorkResult<ResultOf<J>>> {
  const { id, timeoutMs, signal } = checkAwaited(job, workId, options)
  const until = performance.now() + timeoutMs
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    signal?.throwIfAborted()
    const look = findResult(reader, job, id)
    const inTimeMs = Math.max(0, until - performance.now()) + LAST_LOOK_MS
    const found = await answerWithin(look, inTimeMs, signal).catch((error: unknown) => {
      const { code } = error as { code?: unknown }
      const isFinal = error instanceof JobError || REFUSED.test(String(code)) || !isOpen()
      if (isFinal || signal?.aborted || performance.now() >= until) throw error
      return { kind: 'pending' as const }
    })
    const leftMs = until - performance.now()
    if (found.kind !== 'pending' || leftMs <= 0) return found as WorkResult<ResultOf<J>>
    await pause(Math.min(pauseMs, leftMs), undefined, signal && { signal }).catch(() => undefined)
  }
}

/** @throws UnansweredError if there is no answer in time, or the signal's reason */
async function answerWithin<Answer>(
  answer: Promise<Answer>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  if (await settlesWithin(answer, timeoutMs, signal)) return await answer
  signal?.throwIfAborted()
  throw new UnansweredError()
}

/** The current outcome of the work: its result, its failure, or that it is unknown. */
async function findResult(
  reader: JobsReader,
  job: Job,
  workId: string,
): Promise<WorkResult<unknown>> {
  const [work] = await reader.rows<StateOfWork>({
    text: STATE_OF_WORK_SQL,
    values: [job.name, [workId]],
  })
  if (work === undefined) return { kind: 'gone' }
  const { state, runId, result } = work
  switch (state) {
    case 'waiting':
    case 'running':
      return { kind: 'pending' }
    case 'completed':
      return { kind: 'success', runId: runId as string, result: readResult(job, result) }
    case 'cancelled':
      return { kind: state, runId }
    case 'failed':
      return toFailure(work)
    case null:
      return { kind: 'gone' }
    default:
      return state satisfies never
  }
}

function toFailure({ runId, errorCode, errorMessage }: StateOfWork): WorkResult<unknown> {
  const code = errorCode as string
  if (code === 'cancelled' || code === 'expired') return { kind: code, runId }
  return { kind: 'failed', runId, error: { code, message: errorMessage ?? '' } }
}

function readResult({ name, result: schema }: Job, json: string | null): unknown {
  if ((schema ?? null) === null || json === null) return null
  const answer = askSchema(schema as NonNullable<typeof schema>, JSON.parse(json))
  if (answer.kind === 'accepted') return answer.value
  const message = `The result of ${name} is not one that this version takes: ${describeIssues(answer.issues, 'result')}`
  throw new JobError('result_invalid', message, { retryable: false })
}
