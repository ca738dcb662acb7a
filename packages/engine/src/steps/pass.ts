import { JobError } from '../job/jobError.ts'
import { ChildFailed, StepFailed, type StepDefinition } from '../job/step.ts'
import type { FailedStep } from '../queue/endRuns.ts'
import type { StepRow } from '../queue/stepSql.ts'
import { fail, type Known, type RunResult } from '../run/executeRun.ts'
import type { OwnedExecution } from '../run/performRun.ts'
import { tell } from '../values/argument.ts'
import { judge } from '../values/askSchema.ts'

/*
 * One run of a durable handler, from its top. A step is in one of these states:
 *
 *   in process  Its function runs, or its memo is being stored.
 *   ready       It has a memo. The handler gets it in its turn: one memo a turn of the event loop, in the order in which they were written.
 *   waiting     A sleep, a wait for a signal, or an effect in doubt. Nothing in this run ends it.
 *
 * The pass is over when the handler has ended; when only waiting steps are left (it parks); when a step has failed that is tried again;
 * or when the run is aborted. In all but the first case the promises of open steps never settle, so no code of the handler can
 * catch the end.
 */

/** A step as the handler has called it. */
export interface Slot {
  readonly name: string
  readonly item: string
  /** The name in its row. A renamed step keeps its oldest name, under which workers of older versions look, too. */
  readonly storedAs: string
  readonly definition: StepDefinition
  /** Whether a step had thrown the cancellation of the work before the handler called this one. */
  readonly isAfterCancel: boolean
  row: StepRow | null
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** The waits of a parked run. Without an instant: for a person, or a signal. */
export interface Wait {
  readonly slot: Slot
  readonly until: Date | null
  /** For a wait of this run, that has no row yet. */
  readonly ms?: number
  /** By a monotonic clock. */
  readonly calledAtMs: number
  /** Its end, in addition to an instant: a signal with a key, or the ends of children. Default: nothing. */
  readonly kind?: 'wait' | 'map' | 'invoke'
  readonly signal?: string
  readonly key?: string
}

/** Maximum of steps of a piece of work, and of bytes of their results. Each run loads them all. */
const MAX_STEPS = 1_000
const MAX_BYTES = 16 * 2 ** 20
const MAX_ITEM_LENGTH = 200
const IS_STORABLE = /^[^\0\p{Surrogate}]*$/u
/** Maximum depth at which a cause of an error is read. */
const MAX_CAUSES = 5

export type StepKind = 'run' | 'tx' | 'sleep' | 'wait' | 'map' | 'invoke'

export type Pass = ReturnType<typeof createPass>

export function createPass(
  execution: OwnedExecution,
  known: Known,
  rows: readonly StepRow[],
  /** Ends the pass after each new memo, for another. For tests. */
  isCrashing = false,
) {
  const { abort, job, taken } = execution
  const definitions = job.steps ?? {}
  const byId = new Map(rows.map((row) => [idOf(row.name, row.item), row]))
  const called = new Set<string>()
  /** The number of the work's steps, including those that this run has begun. */
  let begun = rows.length
  const slots = new Map<string, Slot>()
  const ready: { slot: Slot; row: StepRow }[] = []
  /** Places of memos that are being stored: later memos wait for them. */
  const unwritten = new Set<number>()
  const waits: Wait[] = []
  const { promise: result, resolve } = Promise.withResolvers<RunResult | 'again'>()
  let lastSeq = rows.reduce((last, { seq }) => Math.max(last, seq ?? 0), 0)
  let bytes = rows.reduce((sum, row) => sum + (row.result?.length ?? 0), 0)
  let now = taken.startedAt
  let inProcess = 0
  /** Promises that the handler has and that have not settled. */
  let open = 0
  let changes = 0
  let turn: NodeJS.Immediate | undefined
  let isParking = false
  let closing: RunResult | 'again' | null = null
  /** The end of the pass if the worker shuts down. Any other end replaces it. */
  let leaving: { by: RunResult; reason: JobError } | null = null
  let hasReturned = false
  let isOver = false
  let isParked = false
  let hasNewMemo = false
  let isToldOfCancel = false
  /** The first failure of a step after that. */
  let undone: string | null = null
  let onLate: ((what: string) => void) | null = null

  abort.onEndSoon((reason) => {
    const { code, message } = reason
    const by = { status: 'failed', details: {}, error: { code, message }, retryable: true } as const
    leaving ??= { by, reason }
    close(leaving.by)
  })
  abort.onAbort(() => close(fail(execution, known, abort.reason)), finish)

  /** The first reason to end counts. Steps in process end first. */
  function close(by: RunResult | 'again'): void {
    if (closing === null || (closing === leaving?.by && by !== 'again')) closing = by
    // A handler that waits for a step will not return.
    if (inProcess === 0 && (hasReturned || open > 0)) finish()
  }

  function finish(): void {
    if (isOver || closing === null) return
    isOver = true
    abort.leave()
    if (leaving !== null && closing === leaving.by) abort.abort(leaving.reason)
    if (closing === 'again') return resolve(closing)
    // Other waits stay open during the retry of the failed step.
    const isWaiting = closing.status === 'failed' && waits.length > 0
    resolve({
      ...closing,
      hasNewMemo,
      ...(isWaiting && { waits: JSON.stringify(storableWaits()) }),
    })
  }

  /** Ends the work at once: code that calls steps in this way would do so again, and a step that calls another waits for it. */
  function refuse(code: string, message: string): void {
    close(fail(execution, known, new JobError(code, message, { retryable: false })))
    finish()
  }

  /** Makes the promise of a step. Where the step must not start, it never settles. */
  function call<Value>(
    name: string,
    item: string,
    kind: StepKind,
    isNested: boolean,
    begin: (slot: Slot) => void,
  ): Promise<Value> {
    return new Promise((give, reject) => {
      if (isNested) {
        // It settles: a transaction of the step that has called it must not stay open.
        const message = `Step "${name}" was called within another step: call it beside that step`
        refuse('step_nested', message)
        return reject(new JobError('step_nested', message, { retryable: false }))
      }
      open++
      changes++
      if (isParked) onLate?.(`Step "${name}" was called`)
      if (closing !== null) return close(closing)
      const problem = findProblem(name, item)
      if (problem !== null) return refuse(...problem)
      called.add(idOf(name, item))
      const definition = definitions[name] as StepDefinition
      const found = [name, ...definition.was].flatMap((one) => byId.get(idOf(one, item)) ?? [])
      const [row = null] = found
      if (row !== null && isOfOtherKind(row, kind))
        return refuse(
          'step_kind',
          `Step "${name}" was stored as a ${row.kind}, and is called as a ${kind}: give it a name that is new`,
        )
      if (row === null && (++begun > MAX_STEPS || bytes > MAX_BYTES))
        return refuse(
          'steps_too_many',
          `The work has more than ${MAX_STEPS} steps, or ${MAX_BYTES} bytes of results: enqueue a successor in step.tx`,
        )
      const slot: Slot = {
        ...{ name, item, definition, row, resolve: give, reject, isAfterCancel: isToldOfCancel },
        storedAs: row?.name ?? definition.was[0] ?? name,
      }
      slots.set(idOf(name, item), slot)
      if (row !== null && row.endedAt !== null) settleSoon(slot, row)
      else begin(slot)
      parkSoon()
    })
  }

  function findProblem(name: unknown, item: unknown): [string, string] | null {
    if (typeof name !== 'string' || !Object.hasOwn(definitions, name))
      return ['step_unknown', `${job.name} has no step ${tell(name)}: add it to steps of defineJob`]
    if (typeof item !== 'string' || item.length > MAX_ITEM_LENGTH || !IS_STORABLE.test(item))
      return [
        'step_item',
        `The item of "${name}" must be a text of at most ${MAX_ITEM_LENGTH}, without NUL and halves of surrogate pairs`,
      ]
    if (called.has(idOf(name, item)))
      return [
        'step_repeated',
        `Step "${name}" was called twice${item && ` for "${item}"`}: give each call an item of its own, such as an id`,
      ]
    return null
  }

  function settleSoon(slot: Slot, row: StepRow): void {
    ready.push({ slot, row })
    schedule()
  }

  function schedule(): void {
    turn ??= setImmediate(settleNext)
  }

  function settleNext(): void {
    turn = undefined
    if (isOver || closing !== null) return
    ready.sort((a, b) => Number(a.row.seq) - Number(b.row.seq))
    const [first] = ready
    if (first === undefined) return
    // The store of an earlier memo schedules again.
    for (const seq of unwritten) if (seq < Number(first.row.seq)) return
    ready.shift()
    open--
    changes++
    settle(first.slot, first.row)
    if (ready.length > 0) schedule()
    parkSoon()
  }

  function settle({ name, item, definition, resolve: answer, reject }: Slot, row: StepRow): void {
    now = row.endedAt ?? now
    isToldOfCancel ||= row.error?.code === 'cancelled'
    if (row.error?.code === 'cancelled')
      return reject(new JobError('cancelled', row.error.message, { retryable: false }))
    if (row.error !== null) {
      const failure = new StepFailed(name, item, row.error)
      if (isToldOfCancel) undone ??= failure.message
      return reject(failure)
    }
    const value = row.result === null ? undefined : (JSON.parse(row.result) as unknown)
    // Those that this run has written have no kind yet.
    const { kind = 'run' } = row
    const isOwn = (kind === 'run' || kind === 'tx') && row.result !== null
    const judged = definition.result && isOwn ? judge(definition.result, value) : null
    if (judged?.kind === 'refused')
      return refuse('step_result_invalid', `The schema of step "${name}" refuses its stored result`)
    answer(judged === null ? value : judged.value)
  }

  /** Keeps the run from parking, and from ending, while this work is under way. */
  async function during<Value>(work: () => Promise<Value>): Promise<Value> {
    inProcess++
    try {
      return await work()
    } finally {
      inProcess--
      changes++
      if (closing !== null) close(closing)
      parkSoon()
    }
  }

  /** Parks once only waits are left, and the handler has had a full turn of the event loop to call another step. */
  function parkSoon(): void {
    if (isParking || waits.length === 0 || !isStill()) return
    isParking = true
    const before = changes
    setImmediate(() =>
      setImmediate(() => {
        isParking = false
        if (changes !== before) return parkSoon()
        if (isStill()) park()
      }),
    )
  }

  const isStill = () => !isOver && closing === null && inProcess === 0 && ready.length === 0

  /** As INSERT_WAITS_SQL reads them: how long each still takes. */
  function storableWaits() {
    const atMs = performance.now()
    return waits.map(({ slot, until, ms, calledAtMs, ...others }) => ({
      ...{ name: slot.storedAs, item: slot.item, ageMs: atMs - calledAtMs, until, ...others },
      ms: ms === undefined ? null : Math.max(0, ms - (atMs - calledAtMs)),
    }))
  }

  function park(): void {
    if (taken.origin !== 'queue')
      return refuse(
        'wait_by_hand',
        'A run that was started by hand cannot wait: enqueue the work instead',
      )
    const stored = storableWaits()
    const instants = stored.flatMap(({ until }) => until?.getTime() ?? [])
    const pauses = stored.flatMap(({ ms }) => ms ?? [])
    isParked = true
    closing = {
      status: 'suspended',
      details: {},
      waits: JSON.stringify(stored),
      until: instants.length > 0 ? new Date(Math.min(...instants)) : null,
      delayMs: pauses.length > 0 ? Math.min(...pauses) : null,
    }
    finish()
    abort.abort(new JobError('suspended', 'The run is suspended: its work waits'))
  }

  return {
    result,
    call,
    close,
    refuse,
    settleSoon,
    /** Begins to work on a step, and ends it with the row that comes of it; null: it stays open. */
    perform(slot: Slot, work: () => Promise<StepRow | null>): void {
      const end = async () => {
        const row = await work()
        if (row?.endedAt) settleSoon(slot, row)
      }
      void during(() =>
        end().catch((error: unknown) => close(fail(execution, known, error))),
      ).catch(() => undefined)
    },
    during,
    wait(wait: Omit<Wait, 'calledAtMs'>): void {
      waits.push({ ...wait, calledAtMs: performance.now() })
      parkSoon()
    },
    /** Stores a memo at the next place, and holds later ones back meanwhile. */
    async inOrder(keep: (seq: number) => Promise<StepRow | null>): Promise<StepRow | null> {
      const seq = ++lastSeq
      unwritten.add(seq)
      try {
        const row = await keep(seq)
        if (row === null || row.endedAt === null) return row
        hasNewMemo = true
        if (isCrashing) close('again')
        bytes += row.result?.length ?? 0
        lastSeq = Math.max(lastSeq, row.seq ?? 0)
        return row
      } finally {
        unwritten.delete(seq)
        schedule()
      }
    },
    /** The handler has ended. */
    returned(by: RunResult): void {
      hasReturned = true
      // Nothing of the handler is left to go on after the wait. If it has read the signal, the suspension may have ended it.
      if (isParked && !abort.isSignalRead) onLate?.('The handler ended')
      close(by)
    },
    /** Calls the listener with what the handler does after the suspension: it calls a step, or it ends. */
    noteLate: (listener: (what: string) => void) => void (onLate = listener),
    undone: () => undone,
    /** The step whose failure an error is, or was caused by. */
    failedBy(error: unknown): FailedStep | null {
      let cause = error
      for (let depth = 0; depth < MAX_CAUSES && cause instanceof Error; depth++) {
        if (cause instanceof StepFailed || cause instanceof ChildFailed) {
          const slot = slots.get(idOf(cause.step, cause.item))
          return slot === undefined ? null : { name: slot.storedAs, item: slot.item }
        }
        cause = cause.cause
      }
      return null
    },
    isClosing: () => closing !== null,
    now: () => new Date(now),
  }
}

/** Whether a row was written by another kind of call, whose memo would be misread, or whose wait could not end. */
function isOfOtherKind({ kind = '', endedAt, error, doubtSince }: StepRow, called: StepKind) {
  const stored = kind === 'tx' ? 'run' : kind
  if (stored === (called === 'tx' ? 'run' : called)) return called === 'tx' && doubtSince !== null
  // Failures are alike. Children that could not be enqueued are enqueued again.
  const isFailure = stored === 'run' && error !== null && doubtSince === null
  return !(isFailure && (endedAt !== null || called === 'map' || called === 'invoke'))
}

const idOf = (name: string, item: string) => `${name}\0${item}`
