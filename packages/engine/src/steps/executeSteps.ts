import type { Job } from '../job/defineJob.ts'
import type { Step, StepDefinition } from '../job/step.ts'
import { BESIDE_WAIT, FIND_WRITER_SQL, LOAD_STEPS, type StepRow } from '../queue/stepSql.ts'
import {
  executeRun,
  fail,
  openContext,
  openKnown,
  parsePayload,
  refuseDryRun,
  succeed,
  type Known,
  type RunResult,
} from '../run/executeRun.ts'
import { JobError } from '../job/jobError.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import { describeUndone, type Execute, type OwnedExecution } from '../run/performRun.ts'
import { classifyFailure } from '../run/settler.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import { createMask } from '../values/maskText.ts'
import { createStep, type StepServices } from './createStep.ts'
import { createPass, type Pass } from './pass.ts'

/** Returns the function that calls the handler of the job. */
export function executorOf({ steps }: Job, services: StepServices): Execute {
  return steps === null ? executeRun : (run) => executeSteps(services, run)
}

/** Runs a durable handler to its end, or until it waits. It never throws, as `executeRun`. */
async function executeSteps(services: StepServices, execution: OwnedExecution): Promise<RunResult> {
  const { job, abort } = execution
  if (execution.taken.facts.dryRun) return refuseDryRun(job)
  const parsed = parsePayload(execution)
  if (parsed.kind === 'refused') return parsed.result
  let deadline: NodeJS.Timeout | undefined
  const known = openKnown(execution)
  try {
    const leftMs = await findTimeLeft(services, execution)
    if (leftMs <= 0) throw deadlineExceeded(job)
    if (leftMs < job.timeoutMs)
      deadline = setTimeout(() => abort.abort(deadlineExceeded(job)), leftMs)
    for (let passes = 0, hasNewMemo = false; ; passes++) {
      const rows = await loadSteps(services, execution, passes > 0)
      await expectValidRows(services, execution, rows)
      const pass = createPass(execution, known, rows, services.isCrashing)
      void callHandler(services, execution, known, pass, parsed.payload)
      const result = await pass.result
      if (result === 'again') {
        hasNewMemo = true
        continue
      }
      const ended = execution.taken.facts.cancelled ? asCancelled(result, pass.undone()) : result
      return hasNewMemo ? { ...ended, hasNewMemo } : ended
    }
  } catch (error) {
    return fail(execution, known, abort.isAborted ? abort.reason : error)
  } finally {
    clearTimeout(deadline)
    if (known.progress !== null) await known.progress.stop()
  }
}

async function callHandler(
  services: StepServices,
  execution: OwnedExecution,
  known: Known,
  pass: Pass,
  payload: unknown,
): Promise<void> {
  const { abort, handler } = execution
  try {
    const step = createStep(services, execution, known, pass) as unknown as Step<unknown, never>
    const own = { step, now: pass.now, batch: refuse, guard: refuse, enqueue: refuse }
    const context = Object.assign(openContext(execution, payload, known, null), own)
    const returned = await handler(context as never)
    pass.returned(succeed(execution, known, returned))
  } catch (error) {
    const failed = fail(execution, known, abort.isAborted ? abort.reason : error)
    const failedStep = pass.failedBy(error)
    const isNamed = failed.status === 'failed' && failedStep !== null
    pass.returned(isNamed ? { ...failed, failedStep } : failed)
  }
}

/** Cancelled work whose handler has returned, or thrown on what it got, is cancelled. `undone`: which step has failed that was to undo something. */
function asCancelled(result: RunResult, undone: string | null): RunResult {
  const isOver =
    result.status === 'success' ||
    (result.status === 'failed' && result.error.code === 'handler_cancelled')
  if (!isOver) return result
  const message = undone === null ? 'Somebody cancelled the work' : describeUndone(undone)
  const { details } = result
  return { status: 'failed', details, error: { code: 'cancelled', message }, retryable: false }
}

function refuse(): never {
  throw new JobError('step_only', 'A durable handler changes rows and enqueues work in step.tx', {
    retryable: false,
  })
}

/** How long the work may still take, by the database's clock: hosts' clocks differ. */
async function findTimeLeft(
  { database }: StepServices,
  { job, taken, abort }: OwnedExecution,
): Promise<number> {
  const { begunAt, cancelled } = taken.facts
  if (job.deadlineMs == null || cancelled) return Infinity
  if (begunAt === undefined) return job.deadlineMs
  const [row] = await untilAnswered(abort, () =>
    database.query<{ ms: number }>(
      'select (extract(epoch from now() - $1::timestamptz) * 1000)::float8 as "ms"',
      [begunAt],
    ),
  )
  return job.deadlineMs - (row?.ms ?? 0)
}

const deadlineExceeded = ({ deadlineMs }: Job) =>
  new JobError(
    'deadline_exceeded',
    `The work has not ended ${deadlineMs} ms after its first start`,
    {
      retryable: false,
    },
  )

/** Reads all memos. */
async function loadSteps(
  { database, workerId }: StepServices,
  { taken, abort }: OwnedExecution,
  isAgain: boolean,
): Promise<readonly StepRow[]> {
  const workId = taken.workId ?? taken.id
  // The first run of the work, which has its id: there is nothing to load.
  if (workId === taken.id && !isAgain) return []
  const values = [workId, taken.claim.id, workerId]
  return await untilAnswered(abort, () => database.query<StepRow>(LOAD_STEPS, values))
}

/** Asks again while the database is away. */
async function untilAnswered<Row>(
  abort: OwnedExecution['abort'],
  ask: () => Promise<{ rows: Row[] }>,
): Promise<Row[]> {
  for (let tries = 1; ; tries++) {
    try {
      return (await ask()).rows
    } catch (error) {
      if (abort.isAborted || classifyFailure(error) === 'refused') throw error
      await pauseAfter(tries)
    }
  }
}

/** Before any code runs: a stored result that today's schema refuses would break it midway. */
async function expectValidRows(
  { database }: StepServices,
  { job, taken }: OwnedExecution,
  rows: readonly StepRow[],
): Promise<void> {
  const schemas = new Map<string, NonNullable<StepDefinition['result']>>()
  for (const [name, { result, was }] of Object.entries(job.steps ?? {}))
    if (result !== null) for (const one of [name, ...was]) schemas.set(one, result)
  for (const { name, item, endedAt, error, result, kind = '' } of rows) {
    if (endedAt === null && error?.code === BESIDE_WAIT)
      throw new JobError(BESIDE_WAIT, error.message, { retryable: false })
    const schema = schemas.get(name)
    // Results of waits and children have schemas of their own.
    const hasSchema = schema !== undefined && (kind === 'run' || kind === 'tx')
    if (!hasSchema || endedAt === null || error !== null) continue
    const answer = judge(schema, JSON.parse(result ?? 'null'))
    if (answer.kind === 'accepted') continue
    const { rows: writers } = await database.query<{ version: string | null }>(FIND_WRITER_SQL, [
      taken.workId,
      name,
      item,
    ])
    const issues = createMask(job.redact)(describeIssues(answer.issues, 'result'))
    const by = writers[0]?.version ? `, which version ${writers[0].version} wrote` : ''
    throw new JobError(
      'step_result_invalid',
      `The schema of step "${name}" refuses its stored result${by}: ${issues}`,
      { retryable: false },
    )
  }
}
