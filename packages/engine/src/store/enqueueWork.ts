import { types } from 'node:util'
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
import { labelWork } from '../job/labelWork.ts'
import type { Logger } from '../job/logger.ts'
import { storableText } from '../job/storableText.ts'
import { storablePayload } from '../job/storablePayload.ts'
import type { Envelope } from './envelope.ts'
import type { Connection } from './database.ts'
import { recogniseHost, type Host } from './callersTransaction.ts'
import type { Schema } from './schema.ts'
import { sendReplacing, sendWork, type WorkToSend } from './sendWork.ts'
import { HOLDS_KEY } from './uniqueKeys.ts'
import type { Waker } from './waker.ts'

/** In whose transaction work is put into the queue. */
export type Caller = Pick<Host, 'connection' | 'isClient'>

/** By what whoever enqueues does so. */
export interface Sender {
  waker: Waker
  log: Pick<Logger, 'warn'>
  /** Default: nothing is traced. */
  traceEnqueue?: TraceEnqueue | undefined
}

/** As much of a job as putting its work into the queue takes. */
export type EnqueuedJob = Pick<Job, 'name' | 'payload'> & Partial<Pick<Job, 'label' | 'show'>>

export interface NewWork {
  envelope: Envelope
  options?: EnqueueOptions | undefined
}

/**
 * Puts work of one job into the queue, in the transaction of whoever asks: any number of pieces with one
 * statement, large ones with several, and another when some have unique keys that others hold. Given a client, it needs no
 * transaction. The waker tells the workers, beside that transaction, and nobody waits for it.
 * @throws JobError `payload_invalid`, before anything is written
 * @throws QueueMissingError when no worker has declared this job's queue yet
 */
export async function enqueueWork(
  { waker, log, traceEnqueue }: Sender,
  { connection, isClient }: Caller,
  job: EnqueuedJob,
  work: readonly NewWork[],
): Promise<EnqueueResult[]> {
  const onSent = (transactionId: string) =>
    // What a client does by itself is committed once it is answered.
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
    // Also between two pieces of this call.
    const holder = options.uniqueKey === undefined ? id : holders.get(options.uniqueKey)
    return { kind: holder === id ? 'enqueued' : 'alreadyQueued', queueJobId: holder ?? id }
  })
}

/** What is wrong with a job's label is wrong with all pieces of a call. */
function onceOnly(log: Pick<Logger, 'warn'>): Pick<Logger, 'warn'> {
  let isSaid = false
  return {
    warn(...line) {
      if (!isSaid) log.warn(...line)
      isSaid = true
    },
  }
}

/** With a payload and options that nobody else holds. */
type Piece = NewWork & { id: string; options: EnqueueOptions; bytes: number }

const isReplacing = ({ options }: Piece) => options.onConflict === 'replace'

/**
 * The same where some are to replace what has their unique key. Of those of one call with the same key, one is sent, and
 * each is told what would have become of it by itself.
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

/** What held a key may be gone when it is looked for; then the key is asked for again. */
const MAX_LOOKS = 10

/**
 * By which work each key is held in the end, be it that of this call. Where a transaction that has not ended holds one,
 * PostgreSQL waits for its end. What has no key goes with the first statement.
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
      throw new Error(`Whoever holds the unique key ${open[0]} was gone each time`)
  }
}

/** The ids of those that were inserted: all of them, but for keys that others hold. */
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

/** PostgreSQL takes a gigabyte with one statement, Node makes a text of half that, and both need it several times over. */
const MAX_STATEMENT_BYTES = 32 * 2 ** 20

/** All of them at once, but for payloads that are large together. */
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

/** Rather once too often: whose clock is right is not asked. */
function canStart({ startAfter }: WorkToSend): boolean {
  return startAfter === undefined || startAfter.getTime() <= Date.now() + 1_000
}

/** The same for a single piece. */
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

/** For programs, which enqueue most often in a transaction: a request's, or a run's own. */
export function createEnqueue(sender: Sender, schema: Schema): Enqueue<HostTransaction> {
  return async (tx, job, payload, options) => {
    const envelope: Envelope = { payload, trigger: 'queue' }
    const host = recogniseHost(tx, schema)
    return await enqueueOne(sender, host, job, { envelope, options })
  }
}

/**
 * Refuses what the database would refuse only in the middle of the caller's transaction, and whatever is of another
 * type: as JSON that may have no end. The copy holds nothing foreign.
 */
function checkOptions(options: EnqueueOptions = {}): EnqueueOptions {
  const { priority, startAfter, uniqueKey, onConflict, maxWaitMs, expiresAt } = options as {
    [option in keyof EnqueueOptions]: unknown
  }
  const checked: EnqueueOptions = {}
  if (priority !== undefined) {
    checked.priority = checkPriority(priority)
  }
  if (startAfter !== undefined) checked.startAfter = checkDate('startAfter', startAfter)
  if (expiresAt !== undefined) {
    checked.expiresAt = checkDate('expiresAt', expiresAt)
    if (checked.startAfter !== undefined && checked.startAfter >= checked.expiresAt)
      throw new TypeError('expiresAt must be later than startAfter: the work would never start')
  }
  if (uniqueKey !== undefined) {
    if (typeof uniqueKey !== 'string' || !/^[^\0\p{Surrogate}]{1,255}$/su.test(uniqueKey))
      throw new TypeError('uniqueKey must have 1 to 255 characters')
    checked.uniqueKey = uniqueKey
  }
  if (onConflict !== undefined) {
    if (onConflict !== 'keep' && onConflict !== 'replace')
      throw new TypeError(
        `onConflict must be keep or replace, not ${storableText(onConflict, MAX_SHOWN)}`,
      )
    if (uniqueKey === undefined)
      throw new TypeError('onConflict needs a uniqueKey: without one, work meets no other')
    checked.onConflict = onConflict
  }
  if (maxWaitMs !== undefined) {
    if (onConflict !== 'replace')
      throw new TypeError("maxWaitMs needs onConflict: 'replace': other work is never put off")
    if (
      !Number.isInteger(maxWaitMs) ||
      !((maxWaitMs as number) > 0 && (maxWaitMs as number) <= MAX_WAIT_MS)
    )
      throw new TypeError(
        `maxWaitMs must be a whole number from 1 to ${MAX_WAIT_MS} (ten years), not ${storableText(maxWaitMs, MAX_SHOWN)}`,
      )
    checked.maxWaitMs = maxWaitMs as number
  }
  return checked
}

const MAX_WAIT_MS = 10 * 365 * 86_400_000

const MAX_SHOWN = 100

export function checkPriority(priority: unknown): number {
  // As a list of 32-bit numbers has it: the least is further from 0 than the greatest.
  if (typeof priority === 'number' && new Int32Array([priority])[0] === priority) return priority
  const given = storableText(priority, MAX_SHOWN)
  throw new TypeError(`priority must be a whole number of 32 bits, not ${given}`)
}

export function checkDate(option: string, value: unknown): Date {
  if (!types.isDate(value)) throw new TypeError(`${option} must be a valid date`)
  // Without what it may have been given as its own.
  const date = new Date(Date.prototype.getTime.call(value))
  if (!isYearOfFourDigits(date)) throw new TypeError(`${option} must be a valid date`)
  return date
}

/** JSON has a sign before others, which PostgreSQL does not read. */
function isYearOfFourDigits(date: Date): boolean {
  const year = date.getUTCFullYear()
  return year >= 1 && year <= 9_999
}
