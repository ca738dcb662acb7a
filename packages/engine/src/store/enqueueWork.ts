import { v7 as uuid } from 'uuid'
import {
  type Enqueue,
  type EnqueueOptions,
  type EnqueueResult,
  type HostTransaction,
  type Job,
  type TraceContext,
  type TraceEnqueue,
} from '../index.ts'
import {
  ArgumentError,
  asItIs,
  checkDate,
  checkJobName,
  checkParts,
  oneOf,
  tell,
  wholeNumber,
} from '../job/argument.ts'
import { labelWork } from '../job/labelWork.ts'
import type { Logger } from '../job/logger.ts'
import { storablePayload } from '../job/storablePayload.ts'
import type { Envelope } from './envelope.ts'
import type { Connection } from './database.ts'
import { recogniseHost, type Host } from './callersTransaction.ts'
import type { Schema } from './schema.ts'
import { sendReplacing, sendWork, type WorkToSend } from './sendWork.ts'
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
  const put = (trace?: TraceContext) => putWork({ connection, onSent, trace, log }, job, work)
  if (traceEnqueue === undefined) return await put()
  return await traceEnqueue({ name: job.name, count: work.length }, put)
}

/** What all statements of one call share. */
interface Call {
  connection: Connection
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
  const pieces = work.map(({ envelope, options }): Piece => {
    const checked = checkOptions(options)
    const { expiresAt, onConflict, maxWaitMs } = checked
    const { payload, bytes, accepted } = storablePayload(job, envelope.payload)
    const whole: Envelope = {
      ...envelope,
      payload,
      ...labelWork(job, accepted, log),
      ...(expiresAt && { expiresAt: expiresAt.toISOString() }),
      ...(onConflict === 'replace' && {
        replaces: maxWaitMs === undefined ? {} : { maxWaitMs },
      }),
    }
    return { id: uuid(), envelope: whole, options: checked, bytes }
  })
  if (pieces.some(isReplacing)) return await replaceWork(call, job.name, pieces)
  const byKey = new Map<string, Piece>()
  for (const piece of pieces) {
    const { uniqueKey } = piece.options
    if (uniqueKey !== undefined && !byKey.has(uniqueKey)) byKey.set(uniqueKey, piece)
  }
  const unkeyed = pieces.filter(({ options }) => options.uniqueKey === undefined)
  const insert = (some: readonly Piece[]) => insertPieces(call, job.name, some)
  const holders: ReadonlyMap<string, string> =
    byKey.size === 0 ? new Map() : await takeKeys(call.connection, job.name, byKey, unkeyed, insert)
  if (byKey.size === 0) await insert(unkeyed)
  return pieces.map(({ id, options }) => {
    // The holder may be another piece of this call.
    const holder = options.uniqueKey === undefined ? id : holders.get(options.uniqueKey)
    return { kind: holder === id ? 'enqueued' : 'alreadyQueued', queueJobId: holder ?? id }
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

/** New work, with copies of its payload and options that nobody else holds. */
type Piece = NewWork & { id: string; options: EnqueueOptions; bytes: number }

const isReplacing = ({ options }: Piece) => options.onConflict === 'replace'

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
    unkeyed.map((piece) => [piece, { kind: 'enqueued', queueJobId: piece.id }]),
  )
  // Always in the same order: two transactions with the same keys must not wait for each other.
  const keys = [...byKey.keys()].map(String).toSorted()
  const groups = keys.map((key) => byKey.get(key) as Piece[])
  const chosen = new Map(
    groups.map((same) => [same.findLast(isReplacing) ?? (same[0] as Piece), same]),
  )
  for (const some of divide([...chosen.keys()])) {
    const sent = await sendReplacing(call.connection, toWork(call, name, some))
    if (sent.isDue) call.onSent(sent.transactionId)
    for (const piece of some) {
      let holder = sent.holders.get(piece.id)
      for (const same of chosen.get(piece) ?? []) {
        if (holder === undefined || (holder.isRunning && isReplacing(same))) {
          holder = { id: piece.id, isRunning: false }
          results.set(same, { kind: 'enqueued', queueJobId: holder.id })
        } else {
          const kind = isReplacing(same) ? 'replaced' : 'alreadyQueued'
          results.set(same, { kind, queueJobId: holder.id })
        }
      }
    }
  }
  await insertPieces(call, name, unkeyed)
  return pieces.map((piece) => results.get(piece) as EnqueueResult)
}

/** How often to ask for a key: the work that held it may be gone when it is looked for. */
const MAX_LOOKS = 10

/**
 * Inserts the pieces whose keys are free, and returns which work holds each key, a piece of this call or other work. When an
 * open transaction holds a key, PostgreSQL waits for its end. Pieces without a key go with the first statement.
 */
async function takeKeys(
  connection: Connection,
  name: string,
  byKey: ReadonlyMap<string, Piece>,
  unkeyed: readonly Piece[],
  insert: (pieces: readonly Piece[]) => Promise<ReadonlySet<string>>,
): Promise<Map<string, string>> {
  const holders = new Map<string, string>()
  // Always in the same order: two transactions with the same keys must not wait for each other.
  let open = [...byKey.keys()].toSorted()
  for (let looks = 1; ; looks++) {
    const asked = open.map((key) => byKey.get(key) as Piece)
    const taken = await insert(looks === 1 ? [...asked, ...unkeyed] : asked)
    for (const key of open) {
      const { id } = byKey.get(key) as Piece
      if (taken.has(id)) holders.set(key, id)
    }
    open = open.filter((key) => !holders.has(key))
    if (open.length === 0) return holders
    const { rows } = await connection.query<{ id: string; key: string }>(
      `select id::text as id, singleton_key as key from pgboss.job
       where name = $1 and singleton_key = any($2::text[]) and ${HOLDS_KEY}`,
      [name, open],
    )
    for (const { id, key } of rows) holders.set(key, id)
    open = open.filter((key) => !holders.has(key))
    if (open.length === 0) return holders
    if (looks === MAX_LOOKS)
      throw new Error(
        `Work with the unique key ${open[0]} kept ending while this was enqueued; enqueue it again`,
      )
  }
}

/** Inserts pieces, and returns the ids of those inserted: all except those whose keys others hold. */
async function insertPieces(
  call: Call,
  name: string,
  pieces: readonly Piece[],
): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  for (const some of divide(pieces))
    for (const id of await insertSome(call, name, some)) taken.add(id)
  return taken
}

/** PostgreSQL takes up to a gigabyte in a statement, and Node half that in a text, but both need several times the memory. */
const MAX_STATEMENT_BYTES = 32 * 2 ** 20

/** Divides pieces into statements of up to MAX_STATEMENT_BYTES. */
function divide(pieces: readonly Piece[]): Piece[][] {
  const parts: Piece[][] = []
  let bytes = Infinity
  for (const piece of pieces) {
    bytes += piece.bytes
    if (bytes > MAX_STATEMENT_BYTES) {
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

/**
 * Checks and copies the options. It refuses what the database would refuse only in the middle of the caller's transaction,
 * and values of other types, whose JSON may have no end. The copy holds nothing foreign.
 */
function checkOptions(options: unknown): EnqueueOptions {
  if (options === undefined) return {}
  const { priority, startAfter, uniqueKey, onConflict, maxWaitMs, expiresAt } = checkParts(
    'options',
    options,
    OPTIONS,
  )
  const checked: EnqueueOptions = {}
  if (priority !== undefined) {
    checked.priority = checkPriority(priority)
  }
  if (startAfter !== undefined) checked.startAfter = checkDate('startAfter', startAfter)
  if (expiresAt !== undefined) {
    checked.expiresAt = checkDate('expiresAt', expiresAt)
    if (checked.startAfter !== undefined && checked.startAfter >= checked.expiresAt)
      throw new ArgumentError(
        'expiresAt',
        'must be later than startAfter: the work would never start',
      )
  }
  if (uniqueKey !== undefined) {
    checked.uniqueKey = checkUniqueKey('uniqueKey', uniqueKey)
  }
  if (onConflict !== undefined) {
    checked.onConflict = checkConflict('onConflict', onConflict)
    if (uniqueKey === undefined)
      throw new ArgumentError('onConflict', 'needs a uniqueKey: without one, work meets no other')
  }
  if (maxWaitMs !== undefined) {
    if (onConflict !== 'replace')
      throw new ArgumentError(
        'maxWaitMs',
        "needs onConflict: 'replace': other work is never put off",
      )
    checked.maxWaitMs = checkMaxWait('maxWaitMs', maxWaitMs)
  }
  return checked
}

const OPTIONS = {
  priority: asItIs,
  startAfter: asItIs,
  uniqueKey: asItIs,
  onConflict: asItIs,
  maxWaitMs: asItIs,
  expiresAt: asItIs,
}
const checkConflict = oneOf(['keep', 'replace'])
/** Ten years. */
const checkMaxWait = wholeNumber(1, 10 * 365 * 86_400_000)

function checkUniqueKey(argument: string, key: unknown): string {
  if (typeof key === 'string' && /^[^\0\p{Surrogate}]{1,255}$/su.test(key)) return key
  throw new ArgumentError(
    argument,
    `must have 1 to 255 characters that PostgreSQL can store, not ${tell(key)}`,
  )
}

/** @throws TypeError for a priority that the column can't hold */
export function checkPriority(priority: unknown): number {
  // An Int32Array holds exactly the numbers that the column takes.
  if (typeof priority === 'number' && new Int32Array([priority])[0] === priority) return priority
  throw new ArgumentError('priority', `must be a whole number of 32 bits, not ${tell(priority)}`)
}
