import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { recogniseHost } from '../database/callersTransaction.ts'
import { LONG, type Database } from '../database/database.ts'
import { checkMap, checkWait } from '../arguments/signals.ts'
import { checkCall, checkSleep, checkSleepUntil } from '../arguments/steps.ts'
import type { Counts, JsonValue, PayloadOf } from '../job/handler.ts'
import type { EnqueueOptions } from '../job/enqueue.ts'
import type { Job, RetryPolicy } from '../job/defineJob.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import { JobError } from '../job/jobError.ts'
import type { Signal, WaitOptions } from '../job/signal.ts'
import { readRefusal } from '../job/rateLimited.ts'
import {
  ChildFailed,
  type ChildResult,
  type Duration,
  type MapOptions,
  type VerifiedStep,
  type StepCall,
  type StepItem,
  type StepTransaction,
} from '../job/step.ts'
import {
  ABANDON_CHILDREN_SQL,
  BEGIN_CHILDREN_SQL,
  INSERT_CHILDREN_SQL,
  LIST_CHILDREN_SQL,
} from '../queue/children.ts'
import { enqueueWork, type Sender } from '../queue/enqueueWork.ts'
import { classifyFailure } from '../run/settler.ts'
import {
  BESIDE_WAIT,
  FAIL_WAIT_SQL,
  FIND_MEMO_SQL,
  keepInTransactionSql,
  type StepRow,
} from '../queue/stepSql.ts'
import { backOffMs } from '../run/afterFailure.ts'
import { describeError, isJobError } from '../run/describeError.ts'
import { fail, type Known } from '../run/executeRun.ts'
import { inFreeTransaction } from '../run/inFreeTransaction.ts'
import { pauseAfter } from '../run/pauseAfter.ts'
import type { OwnedExecution } from '../run/performRun.ts'
import { ADD_COUNTS_SQL, countBatch } from '../run/runs.ts'
import { storableResult, type StorableResult } from '../run/storableResult.ts'
import { storableCounts } from '../run/storableValues.ts'
import { tell } from '../values/argument.ts'
import { describeIssues, judge } from '../values/askSchema.ts'
import { createMask } from '../values/maskText.ts'
import type { Memo, MemoWriter } from './memoWriter.ts'
import type { Pass, Slot, StepKind, Wait } from './pass.ts'

/** Maximum of a result's JSON, in bytes. */
const MAX_RESULT_BYTES = 2 ** 20
/** Maximum of immediate retries of a transaction after a serialization failure or a deadlock. */
const MAX_CONFLICTS = 5
const CONFLICTS = ['40001', '40P01']

/** ADD_COUNTS_SQL has four parameters. */
const KEEP_IN_TRANSACTION = keepInTransactionSql(ADD_COUNTS_SQL, 5)

export interface StepServices {
  database: Database
  memos: MemoWriter
  /** Enqueues children, and has the log. */
  sender: Sender
  workerId: string
  random?: (() => number) | undefined
  /** Restarts the handler after each memo. Default false. */
  isCrashing?: boolean | undefined
}

const CHILDREN_PER_PAGE = 1_000
const NO_CHILDREN = '{"succeeded":0,"failed":0}'

/** The memo of a step that waits for children. */
interface Joined {
  /** The name under which the children are stored. */
  step?: string
  succeeded: number
  failed: number
  first?: { code: string; workId: string } | null
  result?: JsonValue
}

/** The pass whose step's function runs. */
const within = new AsyncLocalStorage<Pass>()

type Work = (call: StepCall) => unknown
type Verify = VerifiedStep<unknown>['verify']

/** Makes what a durable handler gets as `step`. */
export function createStep(
  { database, memos, sender, workerId, random = Math.random }: StepServices,
  execution: OwnedExecution,
  known: Known,
  pass: Pass,
) {
  const { abort, job, taken, now } = execution
  const mask = createMask(job.redact)
  const workId = taken.workId ?? taken.id
  pass.noteLate((what) => void failWork(what))
  const call = <Value>(
    name: string,
    { item = '' }: StepItem,
    kind: StepKind,
    begin: (slot: Slot) => void,
  ) =>
    pass.call<Value>(name, item, kind, within.getStore() === pass, (slot) =>
      isCancelled(slot) && !slot.row?.doubtSince
        ? pass.perform(slot, () => cancel(slot))
        : begin(slot),
    )
  /** In cancelled work, steps reject that the handler may not await yet. */
  const quiet = <Value>(promise: Promise<Value>): Promise<Value> => {
    if (taken.facts.cancelled) promise.catch(() => undefined)
    return promise
  }

  return {
    run: (...given: Parameters<typeof run>) => quiet(run(...given)),
    tx: (...given: Parameters<typeof transact>) => quiet(transact(...given)),
    sleep: (...given: Parameters<typeof sleep>) => quiet(sleep(...given)),
    sleepUntil: (...given: Parameters<typeof sleepUntil>) => quiet(sleepUntil(...given)),
    waitFor: (...given: Parameters<typeof waitFor>) => quiet(waitFor(...given)),
    map: (...given: Parameters<typeof map>) => quiet(map(...given)),
    invoke: (...given: Parameters<typeof invoke>) => quiet(invoke(...given)),
  }

  async function run(name: string, given: Work, options?: VerifiedStep<unknown>) {
    const { work, item, verify: verifier } = checkCall(given, options)
    return await call(name, { item }, 'run', (slot) =>
      pass.perform(slot, () =>
        slot.row?.doubtSince ? verify(slot, work, verifier, null) : callOnce(slot, work, verifier),
      ),
    )
  }

  async function transact(name: string, given: TxWork, options?: StepItem) {
    const { work, item } = checkCall(given, options)
    return await call(name, { item }, 'tx', (slot) =>
      pass.perform(slot, () => inTransaction(slot, work)),
    )
  }

  async function sleep(name: string, duration: number | Duration, options: StepItem = {}) {
    const ms = checkSleep(duration)
    await call<void>(name, options, 'sleep', (slot) => wait(slot, { until: null, ms }))
  }

  async function sleepUntil(name: string, at: Date, options: StepItem = {}) {
    const until = checkSleepUntil(at)
    await call<void>(name, options, 'sleep', (slot) => wait(slot, { until }))
  }

  async function waitFor(name: string, signal: Signal, options: WaitOptions) {
    const declared = job.steps?.[name]?.signal ?? undefined
    const { ms, key, item = '' } = checkWait(name, signal, declared, options)
    const value = await call(name, { item }, 'wait', (slot) =>
      wait(slot, {
        ...{ until: null, kind: 'wait', signal: signal.name, key },
        ...(ms !== undefined && { ms }),
      }),
    )
    if (value === null || value === undefined) return null
    const judged = judge(signal.payload, value)
    if (judged.kind === 'accepted') return judged.value
    const message = `The schema of the signal ${signal.name} refuses what step "${name}" has got`
    pass.refuse('step_result_invalid', message)
    return await new Promise(() => undefined)
  }

  async function map(
    name: string,
    to: Job,
    payloads: readonly unknown[],
    options: MapOptions = {},
  ) {
    const { onFailure, item, list } = checkMap(to, payloads, options)
    const joined = await join(name, item, 'map', to, list)
    if (onFailure === 'fail' && joined.first) throw new ChildFailed(name, item, joined.first)
    const { succeeded } = joined
    return {
      succeeded,
      failed: joined.failed,
      results: () => listResults(name, to, [workId, joined.step ?? name, item]),
    }
  }

  async function invoke(name: string, options: StepItem, to: Job, payload: unknown) {
    const { item, list } = checkMap(to, [payload], options)
    const joined = await join(name, item, 'invoke', to, list)
    if (joined.first) throw new ChildFailed(name, item, joined.first)
    return readChild(name, to, joined.result)
  }

  /** Reads a child's result through the schema of its job. */
  function readChild(name: string, to: Job, result: unknown): unknown {
    const judged = to.result === null || result == null ? null : judge(to.result, result)
    if (judged?.kind !== 'refused') return judged === null ? result : judged.value
    const issues = mask(describeIssues(judged.issues, 'result'))
    const message = `The schema of ${to.name} refuses a result that step "${name}" has got: ${issues}`
    pass.refuse('step_result_invalid', message)
    // It settles: the transaction of a step that reads results must not stay open.
    throw new JobError('step_result_invalid', message, { retryable: false })
  }

  /** Waits for the ends of children, which the first call enqueues. */
  async function join(
    name: string,
    item: string,
    kind: 'map' | 'invoke',
    to: Job,
    payloads: readonly unknown[],
  ): Promise<Joined> {
    return await call<Joined>(name, { item }, kind, (slot) =>
      areChildren(slot)
        ? wait(slot, { until: null, kind })
        : pass.perform(slot, () => beginChildren(slot, kind, to, payloads)),
    )
  }

  async function beginChildren(
    slot: Slot,
    kind: 'map' | 'invoke',
    to: Job,
    payloads: readonly unknown[],
  ): Promise<StepRow | null> {
    const startedAt = now()
    if (payloads.length === 0) return await succeed(slot, startedAt, NO_CHILDREN, kind)
    const step = [workId, slot.storedAs, slot.item]
    for (let tries = 1; !abort.isAborted; tries++) {
      try {
        const isBegun = await database.transaction(async (tx) => {
          const { rows } = await tx.query(BEGIN_CHILDREN_SQL, [
            ...[workerId, taken.claim.id, ...step, taken.id, kind, startedAt],
          ])
          if (rows.length === 0) return false
          const envelope = { trigger: 'queue', parent: taken.id, child: true } as const
          const work = payloads.map((payload) => ({ envelope: { ...envelope, payload } }))
          const made = await enqueueWork(sender, tx, to, work)
          const ids = made.map((one) => one.workId)
          await tx.query(INSERT_CHILDREN_SQL, [...step, to.name, ids])
          return true
        }, LONG)
        // An earlier try may have begun them, of which the answer was lost; or the run is.
        const row = isBegun ? null : await find(slot)
        if (row === null && !abort.isAborted) pass.wait({ slot, until: null, kind })
        return row
      } catch (error) {
        if (isJobError(error) || classifyFailure(error) === 'refused')
          return await failed(slot, error, startedAt)
        await pauseAfter(tries)
      }
    }
    return null
  }

  /** Reads the ends of children in their order, page by page. */
  async function* listResults(
    name: string,
    to: Job,
    step: readonly string[],
  ): AsyncGenerator<ChildResult<unknown>> {
    for (let at = 0; ; at += CHILDREN_PER_PAGE) {
      type Row = { workId: string; code: string | null; result: JsonValue }
      const values = [...step, at, CHILDREN_PER_PAGE]
      const { rows } = await pass.during(() =>
        database.query<Row & { [column: string]: unknown }>(LIST_CHILDREN_SQL, values),
      )
      for (const { workId: childId, code, result } of rows)
        yield code === null
          ? { status: 'success', workId: childId, result: readChild(name, to, result) }
          : { status: 'failed', workId: childId, code }
      if (rows.length < CHILDREN_PER_PAGE) return
    }
  }

  function wait(slot: Slot, how: Omit<Wait, 'slot' | 'calledAtMs'>): void {
    // Cancelled work may use children to undo its effects.
    if (taken.facts.cancelled && !areChildren(slot)) return pass.perform(slot, () => cancel(slot))
    // A stored wait goes on as it began.
    const { until, ms: _, ...others } = { ...how, until: slot.row?.until ?? null }
    pass.wait({ slot, ...(until ? { ...others, until } : how) })
  }

  /** In cancelled work, open steps and all waits throw. The handler can then undo its effects by further steps. */
  function isCancelled({ isAfterCancel }: Slot): boolean {
    return taken.facts.cancelled === true && !isAfterCancel
  }

  async function cancel(slot: Slot): Promise<StepRow | null> {
    const memo = { startedAt: now(), endedAt: now() }
    const error = JSON.stringify({ code: 'cancelled', message: 'Somebody cancelled the work' })
    if (areChildren(slot)) await cancelChildren(slot)
    return await pass.inOrder((seq) => keep(slot, { ...memo, seq, error }))
  }

  /** The next look for signals then cancels them, both waiting and running ones. */
  async function cancelChildren(slot: Slot): Promise<void> {
    for (let tries = 1; !abort.isAborted; tries++) {
      try {
        await database.query(ABANDON_CHILDREN_SQL, [workId, slot.storedAs, slot.item])
        return
      } catch {
        // The database is away.
      }
      await pauseAfter(tries)
    }
  }

  function generationOf({ row }: Slot): number {
    return row?.generation ?? taken.facts.generation ?? 0
  }

  function describeCall(slot: Slot): StepCall {
    const { name, item, definition } = slot
    const parts = [workId, generationOf(slot), definition.was[0] ?? name, item]
    const key = createHash('sha256').update(parts.join('\0')).digest('base64url').slice(0, 32)
    return {
      key,
      get signal() {
        return abort.signal
      },
    }
  }

  /** Calls the function of a step, seen by observers. */
  async function inStep(slot: Slot, work: () => unknown): Promise<unknown> {
    const { observation } = execution
    const { name, item } = slot
    const called = async () => await work()
    return await within.run(pass, () =>
      observation ? observation.withinStep({ name, item }, called) : called(),
    )
  }

  async function callOnce(slot: Slot, work: Work, verifier: Verify): Promise<StepRow | null> {
    const startedAt = now()
    const isOnce = slot.definition.effect === 'once'
    if (isOnce) {
      const row = await keep(slot, { startedAt, doubtSince: startedAt })
      if (!isOpen(row)) return row
    }
    // Aborted meanwhile: the effect has not begun.
    if (pass.isClosing()) return isOnce ? await keep(slot, { startedAt, doubtSince: null }) : null
    let returned: unknown
    try {
      returned = await inStep(slot, () => work(describeCall(slot)))
    } catch (error) {
      if (abort.isAborted) return null
      return isOnce && !isJobError(error)
        ? await verify(slot, work, verifier, error)
        : await failed(slot, error, startedAt)
    }
    const stored = toStorable(slot, returned)
    if (stored.kind === 'stored') return await succeed(slot, startedAt, stored.json)
    const error = new JobError(stored.error.code, stored.error.message, { retryable: false })
    return isOnce ? await verify(slot, work, verifier, error) : await failed(slot, error, startedAt)
  }

  function toStorable({ definition: { result } }: Slot, returned: unknown): StorableResult {
    const how = { maxBytes: MAX_RESULT_BYTES, what: 'The step' }
    return storableResult({ result, redact: job.redact }, returned, how)
  }

  async function succeed(
    slot: Slot,
    startedAt: Date,
    result: string,
    kind: Memo['kind'] = 'run',
  ): Promise<StepRow | null> {
    return await pass.inOrder((seq) => keep(slot, { kind, seq, startedAt, endedAt: now(), result }))
  }

  /** Finds out whether an effect in doubt has happened. `error`: the error of its function in this run, if any. */
  async function verify(
    slot: Slot,
    work: Work,
    verifier: Verify,
    error: unknown,
  ): Promise<StepRow | null> {
    const since = slot.row?.doubtSince ?? now()
    let why =
      error === null ? 'Its run ended before the step did' : describeError(error, mask).message
    try {
      const answer = verifier
        ? await within.run(pass, () => verifier(describeCall(slot)))
        : 'unknown'
      if (answer === 'absent') {
        if (error !== null) return await failed(slot, error, since)
        slot.row = slot.row && { ...slot.row, doubtSince: null, generation: null }
        return isCancelled(slot) ? await cancel(slot) : await callOnce(slot, work, verifier)
      }
      // JavaScript may return anything.
      if (typeof answer === 'object' && answer !== null && 'done' in answer) {
        const stored = toStorable(slot, answer.done)
        if (stored.kind === 'stored') return await succeed(slot, since, stored.json)
        why = stored.error.message
      } else if (answer !== 'unknown')
        why = `verify returned ${tell(answer)}, and not { done }, "absent" or "unknown"`
    } catch (thrown) {
      if (abort.isAborted) return null
      if (canRetry(slot, thrown)) return await failed(slot, thrown, since, since)
      why = describeError(thrown, mask).message
    }
    const message = `Step "${slot.name}" may have happened. ${why}`
    const row = await keep(slot, {
      ...{ startedAt: since, doubtSince: since },
      error: JSON.stringify({ code: 'in_doubt', message }),
    })
    if (isOpen(row)) pass.wait({ slot, until: null })
    return row
  }

  function retryOf({ definition }: Slot): RetryPolicy {
    return definition.retry ?? job.retry
  }

  function canRetry(slot: Slot, error: unknown): boolean {
    const { failures = 0 } = slot.row ?? {}
    return !(isJobError(error) && !error.retryable) && failures < retryOf(slot).limit
  }

  /** Ends the attempt, or, once its retries are used up, stores the failure as a memo. */
  async function failed(
    slot: Slot,
    error: unknown,
    startedAt: Date,
    doubtSince: Date | null = null,
  ): Promise<StepRow | null> {
    const { failures = 0 } = slot.row ?? {}
    if (readRefusal(error) !== null) {
      const row = slot.row && (await keep(slot, { startedAt, failures, doubtSince }))
      if (slot.row !== null && !isOpen(row)) return row
      pass.close(fail(execution, known, error))
      return null
    }
    const result = fail(execution, known, error)
    if (result.status !== 'failed') return null
    const { code, message } = result.error
    const failure = { startedAt, failures: failures + 1, error: JSON.stringify({ code, message }) }
    if (!canRetry(slot, error))
      return await pass.inOrder((seq) => keep(slot, { ...failure, seq, endedAt: now() }))
    const row = await keep(slot, { ...failure, doubtSince })
    if (!isOpen(row)) return row
    pass.close({
      ...result,
      error: { ...result.error, message: `Step "${slot.name}": ${message}` },
      retryable: true,
      retryAfterMs: backOffMs(retryOf(slot), failures, random),
    })
    return null
  }

  /** Writes the row of a step. It returns a memo instead where another run has stored one, and null where the run is lost. */
  async function keep(slot: Slot, part: Partial<Memo>): Promise<StepRow | null> {
    const memo: Memo = {
      ...{ claimId: taken.claim.id, workId, name: slot.storedAs, item: slot.item, kind: 'run' },
      ...{ runId: taken.id, seq: null, startedAt: now(), endedAt: null, result: null, error: null },
      ...{ failures: slot.row?.failures ?? 0, doubtSince: null },
      ...{ generation: part.doubtSince ? generationOf(slot) : null },
      ...part,
    }
    const kept = await memos.keep(memo)
    if (kept === 'missing') return await find(slot)
    if (kept === 'refused') {
      pass.refuse('step_unstorable', `PostgreSQL cannot store the end of step "${slot.name}"`)
      return null
    }
    const { name, item, seq, endedAt, failures, doubtSince, generation } = memo
    const { result } = kept
    const error = memo.error === null ? null : (JSON.parse(memo.error) as StepRow['error'])
    slot.row = {
      ...{ name, item, seq, endedAt, result, error, failures, until: null, doubtSince, generation },
    }
    return slot.row
  }

  /** The memo that another run has stored; null when there is none, or the run is lost. */
  async function find(slot: Slot): Promise<StepRow | null> {
    for (let tries = 1; !abort.isAborted; tries++) {
      try {
        const values = [workerId, taken.claim.id, workId, slot.storedAs, slot.item]
        const { rows } = await database.query<StepRow & { isHeld: boolean }>(FIND_MEMO_SQL, values)
        const [row] = rows
        if (row?.isHeld) return row.endedAt === null ? null : row
        abort.abort(new JobError('run_lost', 'The run was taken over by another worker'))
      } catch {
        await pauseAfter(tries)
      }
    }
    return null
  }

  /** Makes suspended work fail. Its handler has continued after the suspension, without a run in which its steps could count. */
  async function failWork(what: string): Promise<void> {
    const message = `${what} while the work waited: beside a wait, await steps alone`
    sender.log.warn({ name: job.name, workId }, message)
    const values = [workId, JSON.stringify({ code: BESIDE_WAIT, message })]
    // The suspension may not be committed yet, and its work may be claimed by now.
    for (let tries = 1; tries <= MAX_CONFLICTS; tries++) {
      const marked = await database.query(FAIL_WAIT_SQL, values).catch(() => null)
      if (marked?.rows.length) return
      await pauseAfter(tries)
    }
  }

  /** Works in a transaction of the host that stores the memo, too. */
  async function inTransaction(slot: Slot, work: TxWork): Promise<StepRow | null> {
    const startedAt = now()
    for (let tries = 1; ; tries++) {
      let thrown: unknown
      const row = await pass.inOrder(async (seq) => {
        try {
          return await commit(slot, work, seq, startedAt)
        } catch (error) {
          thrown = error
          // The answer of the commit may be lost.
          return await find(slot)
        }
      })
      if (row !== null || abort.isAborted) return row
      const isConflict = CONFLICTS.includes(describeError(thrown, mask).code)
      if (!isConflict || tries === MAX_CONFLICTS) return await failed(slot, thrown, startedAt)
    }
  }

  async function commit(slot: Slot, work: TxWork, seq: number, startedAt: Date): Promise<StepRow> {
    const { client, schema } = execution
    await execution.write()
    let row: StepRow | null = null
    await inFreeTransaction(recogniseHost(client, schema), abort, async (tx) => {
      const counted: Counts = {}
      const returned = await inStep(slot, () =>
        work(tx, {
          ...describeCall(slot),
          count(counts) {
            for (const [name, added] of Object.entries(storableCounts(counts, new Set())))
              counted[name] = (counted[name] ?? 0) + added
          },
          enqueue: (to: Job, payload: PayloadOf<Job>, options?: EnqueueOptions) =>
            execution.enqueue(tx as HostTransaction, to, payload, options),
        } as StepTransaction),
      )
      const stored = toStorable(slot, returned)
      if (stored.kind === 'refused')
        throw new JobError(stored.error.code, stored.error.message, { retryable: false })
      const names = (known.counted ??= new Set())
      const counts = storableCounts(counted, names)
      const endedAt = now()
      const { connection } = recogniseHost(tx, schema)
      const { rows } = await connection.query<{ result: string }>(KEEP_IN_TRANSACTION, [
        ...[taken.id, execution.workerId, JSON.stringify(countBatch(counts))],
        String(endedAt.getTime()),
        ...[workId, slot.storedAs, slot.item, String(seq)],
        ...[String(startedAt.getTime()), String(endedAt.getTime()), stored.json],
      ])
      const [kept] = rows
      if (kept === undefined)
        throw new JobError('run_lost', 'The step has a memo, or the run was taken over')
      for (const name of Object.keys(counts)) names.add(name)
      const { storedAs: name, item } = slot
      const ended = { seq, endedAt, result: kept.result, error: null, failures: 0 }
      row = { name, item, ...ended, until: null, doubtSince: null, generation: null }
    })
    return row as unknown as StepRow
  }
}

const areChildren = ({ row }: Slot) => row?.kind === 'map' || row?.kind === 'invoke'
const isOpen = (row: StepRow | null): row is StepRow => row !== null && row.endedAt === null

type TxWork = (tx: unknown, call: StepTransaction) => Promise<unknown>
