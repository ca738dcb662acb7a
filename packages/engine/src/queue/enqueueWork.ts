import { setImmediate as letOthers } from 'node:timers/promises'
import { v7 as uuid } from 'uuid'
import type {
  Enqueue,
  EnqueueOptions,
  EnqueueResult,
  TraceContext,
  TraceEnqueue,
} from '../job/enqueue.ts'
import type { HostTransaction } from '../job/hostTypes.ts'
import type { Job } from '../job/defineJob.ts'
import { JobError } from '../job/jobError.ts'
import { labelWork } from '../job/labelWork.ts'
import type { Logger } from '../job/logger.ts'
import { ArgumentError, checkJobName } from '../values/argument.ts'
import { storablePayload } from '../job/storablePayload.ts'
import { asTransaction } from '../database/callersTransaction.ts'
import { checkEnqueueOptions, nameItem, refusePriority } from '../arguments/enqueueOptions.ts'
import type { Connection, Database } from '../database/database.ts'
import type { Envelope } from './envelope.ts'
import { insertWork, type WorkToInsert } from './insertWork.ts'
import { replaceWork, type Met, type ReplacingWork } from './replaceWork.ts'
import type { Schema } from '../database/schema.ts'
import { freeOrphanedKeys } from './uniqueKeys.ts'
import type { Waker } from '../database/waker.ts'

/** The needs of enqueueing, in addition to a connection. */
export interface Sender {
  waker: Pick<Waker, 'wake'>
  log: Pick<Logger, 'warn'>
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/** The parts of a job that enqueueing needs. */
export type EnqueuedJob = Pick<Job, 'name' | 'payload'> &
  Partial<Pick<Job, 'label' | 'show' | 'partition' | 'steps'>>

export interface NewWork {
  envelope: Envelope
  options?: EnqueueOptions | undefined
  /** Applies to work that replaces other work. Default: the job's own setting. */
  key?: string | undefined
}

/** A transaction, or a pool of the engine's own, where each statement commits by itself. */
type Caller = Connection & Partial<Pick<Database, 'transaction'>>

/** Makes the `enqueue` of clients, and of the handler of the run `parent`. */
export function createEnqueue(
  sender: Sender,
  schema: Schema,
  parent?: string,
): Enqueue<HostTransaction> {
  const otherwise =
    parent === undefined
      ? 'call enqueueNow(job, payload) to enqueue without one'
      : 'enqueue within batch(), which begins one'
  return async (tx, job, payload, options) => {
    const envelope: Envelope = {
      payload,
      trigger: 'queue',
      ...(parent !== undefined && { parent }),
    }
    const connection = asTransaction(tx, schema, otherwise)
    return await enqueueOne(sender, connection, job, { envelope, options })
  }
}

/** Enqueues a single piece. */
export async function enqueueOne(
  sender: Sender,
  caller: Caller,
  job: EnqueuedJob,
  work: NewWork,
): Promise<EnqueueResult> {
  const name = checkJobName('job', job)
  return await traced(sender, { name, count: 1 }, async (trace) => {
    const piece = toPiece(job, work, sender.log, trace)
    if (piece.uniqueKey !== undefined)
      return (await putPieces({ sender, caller, name }, [piece]))[0] as EnqueueResult
    // Most work has no unique key.
    const { transactionId } = await insertWork(caller, [piece])
    if (canStart(piece)) wake({ sender, caller, name }, transactionId)
    return { kind: 'enqueued', workId: piece.id }
  })
}

const traced = <Value>(
  { traceEnqueue }: Sender,
  of: { name: string; count: number },
  put: (trace?: TraceContext) => Promise<Value>,
) => (traceEnqueue === undefined ? put() : traceEnqueue(of, put))

/**
 * Enqueues any number of pieces of one job with one statement. Large payloads need further statements, and so do unique keys
 * that other transactions hold. The waker notifies workers outside of the transaction, and the caller does not wait for that.
 * @throws ArgumentError, JobError `payload_invalid`, both before anything is written
 */
export async function enqueueWork(
  sender: Sender,
  caller: Caller,
  job: EnqueuedJob,
  work: readonly NewWork[],
): Promise<EnqueueResult[]> {
  const name = checkJobName('job', job)
  return await traced(sender, { name, count: work.length }, async (trace) => {
    const log = onceOnly(sender.log)
    const pieces = await mapInTurns(work, (one, at) =>
      ofItem(at, () => toPiece(job, one, log, trace)),
    )
    return await putPieces({ sender, caller, name }, pieces)
  })
}

/** The values that all statements of one call share. */
interface Call {
  sender: Sender
  caller: Caller
  name: string
}

/** New work, with its own copies of its payload and options. */
interface Piece extends WorkToInsert {
  replaces: boolean
  isDurable: boolean
  maxWaitMs: number | undefined
}

/** Returns what became of each piece. */
async function putPieces(call: Call, pieces: readonly Piece[]): Promise<EnqueueResult[]> {
  return pieces.some(({ replaces }) => replaces)
    ? await replacePieces(call, pieces)
    : await keepPieces(call, pieces)
}

/** Checks and labels a piece. */
function toPiece(
  job: EnqueuedJob,
  { envelope, options, ...given }: NewWork,
  log: Sender['log'],
  trace: TraceContext | undefined,
): Piece {
  const { startAfter, priority, uniqueKey, onConflict, maxWaitMs, expiresAt, enqueuedBy } =
    checkEnqueueOptions(options)
  if (priority !== undefined && priority !== 0 && job.partition?.order === 'fifo')
    throw refusePriority()
  const { payload, bytes, accepted, key } = storablePayload(job, envelope.payload)
  const whole: Envelope = {
    ...envelope,
    payload,
    ...labelWork(job, accepted, log),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
    ...(trace && { trace }),
    ...(enqueuedBy !== undefined && { enqueuedBy }),
  }
  const of = { id: uuid(), name: job.name, envelope: whole, bytes, key, ...given }
  const replaces = onConflict === 'replace'
  return { ...of, startAfter, priority, uniqueKey, replaces, isDurable: !!job.steps, maxWaitMs }
}

/** Names in an error which item of a list it is about. */
function ofItem<Value>(at: number, work: () => Value): Value {
  try {
    return work()
  } catch (error) {
    const item = `items[${at}]`
    if (error instanceof ArgumentError) throw nameItem(error, item)
    if (!(error instanceof JobError)) throw error
    const { code, message, retryable, cause, details } = error
    throw new JobError(code, `${item}.${message}`, { retryable, cause, details })
  }
}

const TURN = 1_000

/** Maps a list that may be a million long. After each thousand items it lets the caller's event loop turn. */
export async function mapInTurns<Item, Value>(
  items: readonly Item[],
  map: (item: Item, at: number) => Value,
): Promise<Value[]> {
  const mapped: Value[] = []
  for (const [at, item] of items.entries()) {
    if (at > 0 && at % TURN === 0) await letOthers()
    mapped.push(map(item, at))
  }
  return mapped
}

/** Logs only the first warning: a label function that fails usually fails for all pieces of a call. */
function onceOnly(log: Pick<Logger, 'warn'>): Pick<Logger, 'warn'> {
  let isSaid = false
  return {
    warn(...line) {
      if (!isSaid) log.warn(...line)
      isSaid = true
    },
  }
}

/** Groups pieces by their keys, always in the same order: two transactions with the same keys must not wait for each other. */
function groupByKey(pieces: readonly Piece[]): { groups: Piece[][]; unkeyed: Piece[] } {
  const byKey = Map.groupBy(pieces, ({ uniqueKey }) => uniqueKey)
  const unkeyed = byKey.get(undefined) ?? []
  byKey.delete(undefined)
  const keys = inOrder([...byKey.keys()].map(String))
  return { groups: keys.map((key) => byKey.get(key) as Piece[]), unkeyed }
}

/** As PostgreSQL's collation "C" has them, by which others take keys. JavaScript sorts an emoji before some other characters. */
function inOrder(keys: readonly string[]): string[] {
  const isOutOfOrder = keys.some((key) => /[\ud800-\udfff]/.test(key))
  return isOutOfOrder
    ? keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    : keys.toSorted()
}

/** How often to ask for a key: the work that held it may be gone when it is looked for. */
const MAX_LOOKS = 10

function expectLooks(looks: number, { uniqueKey }: WorkToInsert): void {
  if (looks < MAX_LOOKS) return
  const what = `Work with the unique key ${uniqueKey} kept changing while this was enqueued`
  throw new Error(`${what}; enqueue it again`)
}

/**
 * Enqueues pieces that leave alone work with their unique key. Of pieces with the same key the first counts. When an open
 * transaction holds a key, PostgreSQL waits for its end. Pieces without a key go with the first statement.
 */
async function keepPieces(call: Call, pieces: readonly Piece[]): Promise<EnqueueResult[]> {
  const { groups, unkeyed } = groupByKey(pieces)
  const holders = new Map<string | undefined, string>()
  // Each part has its keys before the next, which has greater ones.
  for (const part of divide(call, [...groups.flatMap(([first]) => first ?? []), ...unkeyed])) {
    let open = part
    for (let looks = 0; open.length > 0; looks++) {
      if (open[0]) expectLooks(looks, open[0])
      // Another transaction had locked the key while its work ended, so that the end could not free it.
      if (looks > 0)
        await inTransaction(call.caller, (tx) =>
          freeOrphanedKeys(tx, open.map(toKey), { waits: true }),
        )
      const inserted = await insertWork(call.caller, open)
      if (inserted.transactionId !== null && open.some(canStart)) wake(call, inserted.transactionId)
      for (const { id, uniqueKey } of open) {
        const holder = inserted.holders.get(id)
        if (holder !== undefined) holders.set(uniqueKey, holder)
      }
      open = open.filter(({ uniqueKey }) => uniqueKey !== undefined && !holders.has(uniqueKey))
    }
  }
  return await mapInTurns(pieces, ({ id, uniqueKey }) => {
    // The holder may be another piece of this call.
    const holder = uniqueKey === undefined ? id : holders.get(uniqueKey)
    return { kind: holder === id ? 'enqueued' : 'alreadyQueued', workId: holder ?? id }
  })
}

const toKey = ({ name, uniqueKey = '' }: WorkToInsert) => ({ name, key: uniqueKey })

/**
 * Enqueues pieces, some of which replace work with their unique key. It sends one of the pieces with the same key. It returns the
 * results that the pieces would have had one after the other.
 */
async function replacePieces(call: Call, pieces: readonly Piece[]): Promise<EnqueueResult[]> {
  const { groups, unkeyed } = groupByKey(pieces)
  const results = new Map<Piece, EnqueueResult>()
  /** The piece that is sent for each key, and all pieces with that key. */
  const groupOf = new Map(groups.map((same) => [choosePiece(same), same]))
  for (const some of divide(call, [...groupOf.keys()])) {
    const met = await replaceAll(call.caller, some as readonly (Piece & ReplacingWork)[])
    const due = [...met.values()].find(({ isDue }) => isDue)
    if (due !== undefined) wake(call, due.transactionId)
    for (const piece of some) {
      const same = groupOf.get(piece) ?? []
      const inTurn = resultsInTurn(same, piece.id, met.get(piece.id) as Met)
      for (const [index, one] of same.entries()) results.set(one, inTurn[index] as EnqueueResult)
    }
  }
  await keepPieces(call, unkeyed)
  return pieces.map((one) => results.get(one) ?? { kind: 'enqueued', workId: one.id })
}

/** Asks again about pieces whose keys changed hands, in a transaction, which keeps the keys that it has met. */
async function replaceAll(
  caller: Caller,
  work: readonly ReplacingWork[],
): Promise<ReadonlyMap<string, Met>> {
  const met = new Map(await replaceWork(caller, work))
  const askAgain = async (tx: Connection) => {
    for (let looks = 1; met.size < work.length; looks++) {
      const left = work.filter(({ id }) => !met.has(id))
      if (left[0]) expectLooks(looks, left[0])
      for (const [id, one] of await replaceWork(tx, left)) met.set(id, one)
      // All of these keys are locked by now, so it waits for none.
      const kept = left.filter(({ id, replaces }) => !replaces && !met.has(id))
      if (kept.length > 0) await freeOrphanedKeys(tx, kept.map(toKey))
    }
  }
  if (met.size < work.length) await inTransaction(caller, askAgain)
  return met
}

async function inTransaction<Value>(
  caller: Caller,
  work: (tx: Connection) => Promise<Value>,
): Promise<Value> {
  return caller.transaction ? await caller.transaction(work) : await work(caller)
}

/** Of pieces with the same key, the last one that replaces; if none does, the first. */
function choosePiece(same: readonly Piece[]): Piece {
  return same.findLast(({ replaces }) => replaces) ?? (same[0] as Piece)
}

/**
 * What would have become of pieces with the same key, had they come one after the other. Those that take the key are `sentId`
 * in the end. `met` lists what it met.
 */
function resultsInTurn(
  same: readonly Piece[],
  sentId: string,
  { holderId, ranBefore, isKept }: Met,
): EnqueueResult[] {
  let holder = holderId === sentId ? ranBefore : holderId
  return same.map(({ replaces }) => {
    if (holder === null || (holder === ranBefore && replaces)) {
      holder = sentId
      return { kind: 'enqueued', workId: sentId }
    }
    return { kind: replaces && !isKept ? 'replaced' : 'alreadyQueued', workId: holder }
  })
}

/** PostgreSQL takes up to a gigabyte in a statement, and Node half that in a text, but both need several times the memory. */
const MAX_STATEMENT_BYTES = 32 * 2 ** 20
/** In a transaction all parts are one: smaller ones hold up the caller's event loop for a tenth of a second at most. */
const MAX_PART_BYTES = 4 * 2 ** 20
/** Bytes in memory of a piece beside its payload. */
const OTHER_BYTES = 500

/** Divides pieces into statements. Those of a pool commit one by one. */
function divide({ caller }: Call, pieces: readonly Piece[]): Piece[][] {
  const maxBytes = caller.transaction ? MAX_STATEMENT_BYTES : MAX_PART_BYTES
  const parts: Piece[][] = []
  let bytes = Infinity
  for (const piece of pieces) {
    bytes += piece.bytes + OTHER_BYTES
    if (bytes > maxBytes) {
      parts.push([])
      bytes = piece.bytes + OTHER_BYTES
    }
    parts.at(-1)?.push(piece)
  }
  return parts
}

function wake({ sender, caller, name }: Call, transactionId: string | null): void {
  // A pool's statement is committed once it is answered.
  sender.waker.wake(name, caller.transaction ? null : transactionId)
}

/** Whether to wake workers for it: a second early, because the clocks may differ, and a needless wake-up does no harm. */
function canStart({ startAfter }: WorkToInsert): boolean {
  return startAfter === undefined || startAfter.getTime() <= Date.now() + 1_000
}
