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
import { checkJobName } from '../job/argument.ts'
import { labelWork } from '../job/labelWork.ts'
import type { Logger } from '../job/logger.ts'
import { storablePayload } from '../job/storablePayload.ts'
import { checkEnqueueOptions } from './checkEnqueueOptions.ts'
import type { Envelope } from './envelope.ts'
import type { Connection } from './database.ts'
import { recogniseHost, type Host } from './callersTransaction.ts'
import type { Schema } from './schema.ts'
import { sendReplacing, sendWork, type KeyHolder, type WorkToSend } from './sendWork.ts'
import { HOLDS_KEY } from './uniqueKeys.ts'
import type { Waker } from './waker.ts'

/** The transaction or client in which work is enqueued. */
export type Caller = Pick<Host, 'connection' | 'isClient'>

/** What enqueueing needs beside a connection. */
export interface Sender {
  waker: Waker
  log: Pick<Logger, 'warn'>
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/** The parts of a job that enqueueing needs. */
export type EnqueuedJob = Pick<Job, 'name' | 'payload'> & Partial<Pick<Job, 'label' | 'show'>>

export interface NewWork {
  envelope: Envelope
  options?: EnqueueOptions | undefined
}

/**
 * Enqueues work of one job in the caller's transaction, or without one when given a client: any number of pieces with one
 * statement, more for large payloads, and another when others hold some of their unique keys. The waker tells the workers
 * outside that transaction, and the caller does not wait for it.
 * @throws ArgumentError, JobError `payload_invalid`, both before anything is written
 * @throws QueueMissingError when no worker has declared this job's queue yet
 */
export async function enqueueWork(
  { waker, log, traceEnqueue }: Sender,
  { connection, isClient }: Caller,
  job: EnqueuedJob,
  work: readonly NewWork[],
): Promise<EnqueueResult[]> {
  checkJobName('job', job)
  const onSent = (transactionId: string) =>
    // A client's own statement is committed once it is answered.
    waker.wake(job.name, isClient ? null : transactionId)
  const put = (trace?: TraceContext) =>
    putWork({ connection, isClient, onSent, trace, log }, job, work)
  if (traceEnqueue === undefined) return await put()
  return await traceEnqueue({ name: job.name, count: work.length }, put)
}

/** What all statements of one call share. */
interface Call {
  connection: Connection
  isClient: boolean
  onSent: (transactionId: string) => void
  trace: TraceContext | undefined
  log: Pick<Logger, 'warn'>
}

/** Checks, labels and enqueues the work, and says of each piece what became of it. */
async function putWork(
  call: Call,
  job: EnqueuedJob,
  work: readonly NewWork[],
): Promise<EnqueueResult[]> {
  const log = onceOnly(call.log)
  const pieces = await mapInTurns(work, (one) => toPiece(job, one, log))
  return pieces.some(isReplacing)
    ? await replaceWork(call, job.name, pieces)
    : await keepWork(call, job.name, pieces)
}

/** New work, with copies of its payload and options that nobody else holds. */
type Piece = NewWork & { id: string; options: EnqueueOptions; bytes: number }

const isReplacing = ({ options }: Piece) => options.onConflict === 'replace'

/** Checks and labels a piece. What later statements need of its options goes into its envelope. */
function toPiece(job: EnqueuedJob, { envelope, options }: NewWork, log: Call['log']): Piece {
  const checked = checkEnqueueOptions(options)
  const { expiresAt, onConflict, maxWaitMs } = checked
  const { payload, bytes, accepted } = storablePayload(job, envelope.payload)
  const whole: Envelope = {
    ...envelope,
    payload,
    ...labelWork(job, accepted, log),
    ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
    ...(onConflict === 'replace' && { replaces: maxWaitMs === undefined ? {} : { maxWaitMs } }),
  }
  return { id: uuid(), envelope: whole, options: checked, bytes: bytes + OTHER_BYTES }
}

/** What a statement says of a piece beside its payload, and what that takes in memory. */
const OTHER_BYTES = 500

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

/** Enqueues pieces that leave alone work with their unique key. Of pieces with the same key the first counts. */
async function keepWork(
  call: Call,
  name: string,
  pieces: readonly Piece[],
): Promise<EnqueueResult[]> {
  const firstByKey = new Map<string, Piece>()
  for (const piece of pieces) {
    const { uniqueKey } = piece.options
    if (uniqueKey !== undefined && !firstByKey.has(uniqueKey)) firstByKey.set(uniqueKey, piece)
  }
  const unkeyed = pieces.filter(({ options }) => options.uniqueKey === undefined)
  const holders = await insertAndFindHolders(call, name, firstByKey, unkeyed)
  return await mapInTurns(pieces, ({ id, options }) => {
    // The holder may be another piece of this call.
    const holder = options.uniqueKey === undefined ? id : holders.get(options.uniqueKey)
    return { kind: holder === id ? 'enqueued' : 'alreadyQueued', workId: holder ?? id }
  })
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

/**
 * Enqueues pieces of which some replace work with their unique key. Of pieces with the same key it sends one, and returns for
 * each what would have become of it if they had come one after the other.
 */
async function replaceWork(
  call: Call,
  name: string,
  pieces: readonly Piece[],
): Promise<EnqueueResult[]> {
  const byKey = Map.groupBy(pieces, ({ options }) => options.uniqueKey)
  const unkeyed = byKey.get(undefined) ?? []
  byKey.delete(undefined)
  const results = new Map<Piece, EnqueueResult>(
    unkeyed.map((piece) => [piece, { kind: 'enqueued', workId: piece.id }]),
  )
  // Always in the same order: two transactions with the same keys must not wait for each other.
  const keys = [...byKey.keys()].map(String).toSorted()
  const groups = keys.map((key) => byKey.get(key) as Piece[])
  /** The piece that is sent for each key, and all pieces with that key. */
  const groupOf = new Map(groups.map((same) => [choosePiece(same), same]))
  for (const some of divide(call, [...groupOf.keys()])) {
    const sent = await sendReplacing(call.connection, toWork(call, name, some))
    if (sent.isDue) call.onSent(sent.transactionId)
    for (const piece of some) {
      const same = groupOf.get(piece) ?? []
      const inTurn = resultsInTurn(same, piece.id, sent.holders.get(piece.id))
      for (const [index, one] of same.entries()) results.set(one, inTurn[index] as EnqueueResult)
    }
  }
  await insertPieces(call, name, unkeyed)
  return pieces.map((piece) => results.get(piece) as EnqueueResult)
}

/** The one that would be left of pieces with the same key: the last that replaces, else the first. */
function choosePiece(same: readonly Piece[]): Piece {
  return same.findLast(isReplacing) ?? (same[0] as Piece)
}

/**
 * What would have become of pieces with the same key, had they come one after the other. The first of them meets `found`,
 * which held the key before; those that take the key are `sentId` in the end.
 */
function resultsInTurn(
  same: readonly Piece[],
  sentId: string,
  found: KeyHolder | undefined,
): EnqueueResult[] {
  let holder = found
  return same.map((piece) => {
    if (holder === undefined || (holder.isRunning && isReplacing(piece))) {
      holder = { id: sentId, isRunning: false }
      return { kind: 'enqueued', workId: sentId }
    }
    return { kind: isReplacing(piece) ? 'replaced' : 'alreadyQueued', workId: holder.id }
  })
}

/** How often to ask for a key: the work that held it may be gone when it is looked for. */
const MAX_LOOKS = 10

/**
 * Inserts the pieces whose keys are free, and returns which work holds each key: a piece of this call or other work. When an
 * open transaction holds a key, PostgreSQL waits for its end. Pieces without a key go with the first statement.
 */
async function insertAndFindHolders(
  call: Call,
  name: string,
  byKey: ReadonlyMap<string, Piece>,
  unkeyed: readonly Piece[],
): Promise<Map<string, string>> {
  const holders = new Map<string, string>()
  const withoutHolder = (keys: readonly string[]) => keys.filter((key) => !holders.has(key))
  // Always in the same order: two transactions with the same keys must not wait for each other.
  let open = [...byKey.keys()].toSorted()
  for (let looks = 1; ; looks++) {
    const asked = open.map((key) => byKey.get(key) as Piece)
    const inserted = await insertPieces(call, name, looks === 1 ? [...asked, ...unkeyed] : asked)
    for (const key of open) {
      const { id } = byKey.get(key) as Piece
      if (inserted.has(id)) holders.set(key, id)
    }
    const heldByOthers = withoutHolder(open)
    if (heldByOthers.length === 0) return holders
    for (const { id, key } of await findHolders(call.connection, name, heldByOthers))
      holders.set(key, id)
    open = withoutHolder(heldByOthers)
    if (open.length === 0) return holders
    if (looks === MAX_LOOKS)
      throw new Error(
        `Work with the unique key ${open[0]} kept ending while this was enqueued; enqueue it again`,
      )
  }
}

async function findHolders(
  connection: Connection,
  name: string,
  keys: readonly string[],
): Promise<{ id: string; key: string }[]> {
  const { rows } = await connection.query<{ id: string; key: string }>(
    `select id::text as id, singleton_key as key from pgboss.job
     where name = $1 and singleton_key = any($2::text[]) and ${HOLDS_KEY}`,
    [name, keys],
  )
  return rows
}

/** Inserts pieces, and returns the ids of those inserted: all except those whose keys others hold. */
async function insertPieces(
  call: Call,
  name: string,
  pieces: readonly Piece[],
): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  for (const some of divide(call, pieces))
    for (const id of await insertSome(call, name, some)) taken.add(id)
  return taken
}

/** PostgreSQL takes up to a gigabyte in a statement, and Node half that in a text, but both need several times the memory. */
const MAX_STATEMENT_BYTES = 32 * 2 ** 20
/** In a transaction all parts are one: smaller ones hold up the caller's event loop for a tenth of a second at most. */
const MAX_PART_BYTES = 4 * 2 ** 20

/** Divides pieces into statements. What a client sends commits statement by statement. */
function divide({ isClient }: Pick<Call, 'isClient'>, pieces: readonly Piece[]): Piece[][] {
  const maxBytes = isClient ? MAX_STATEMENT_BYTES : MAX_PART_BYTES
  const parts: Piece[][] = []
  let bytes = Infinity
  for (const piece of pieces) {
    bytes += piece.bytes
    if (bytes > maxBytes) {
      parts.push([])
      bytes = piece.bytes
    }
    parts.at(-1)?.push(piece)
  }
  return parts
}

/** Inserts pieces of work and returns the ids of those that got in: a unique key may keep others out. */
async function insertSome(
  call: Call,
  name: string,
  pieces: readonly Piece[],
): Promise<readonly string[]> {
  const { connection, onSent } = call
  const work = toWork(call, name, pieces)
  const returnIds = work.some(({ uniqueKey }) => uniqueKey !== undefined)
  const { ids, transactionId } = await sendWork(connection, work, { returnIds })
  const taken = ids ?? work.map(({ id }) => id)
  if (transactionId !== null && work.some(canStart)) onSent(transactionId)
  return taken
}

function toWork({ trace }: Call, name: string, pieces: readonly Piece[]): WorkToSend[] {
  return pieces.map(({ id, envelope, options: { startAfter, priority, uniqueKey } }) => ({
    id,
    name,
    envelope: trace === undefined ? envelope : { ...envelope, trace },
    startAfter,
    priority,
    uniqueKey,
  }))
}

/** Whether to wake workers for it: a second early, because the clocks may differ, and a needless wake-up does no harm. */
function canStart({ startAfter }: WorkToSend): boolean {
  return startAfter === undefined || startAfter.getTime() <= Date.now() + 1_000
}

/** Enqueues a single piece. */
export async function enqueueOne(
  sender: Sender,
  caller: Caller,
  job: EnqueuedJob,
  work: NewWork,
): Promise<EnqueueResult> {
  const [result] = await enqueueWork(sender, caller, job, [work])
  if (result === undefined) throw new Error('Nothing was enqueued')
  return result
}

/** Makes the `enqueue` of clients and handlers, which takes a transaction or a client. */
export function createEnqueue(sender: Sender, schema: Schema): Enqueue<HostTransaction> {
  return async (tx, job, payload, options) => {
    const envelope: Envelope = { payload, trigger: 'queue' }
    const host = recogniseHost(tx, schema)
    return await enqueueOne(sender, host, job, { envelope, options })
  }
}
