import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from '../job/logger.ts'
import { storableText } from '../job/storableText.ts'
import { rankOf } from '../store/place.ts'
import type { Connection, Database } from '../store/database.ts'
import {
  BULK_PARTS_SQL,
  CANCEL_RUNS_SQL,
  MOVE_BULK_SQL,
  SEE_LETTERS_SQL,
  TAKE_BULK_SQL,
  TELL_PROBLEM_SQL,
} from '../store/bulkSql.ts'
import { DISCARD_DEAD_LETTERS_SQL } from '../store/deadLetterSql.ts'
import { CHANGE_PIECES_SQL } from '../store/waitingSql.ts'
import type { BulkKind, PassedReason } from '../read/listBulks.ts'
import { redriveLetters } from './deadLetters.ts'
import type { StoredRequest } from './startBulk.ts'

interface OpenBulk {
  [column: string]: unknown
  id: string
  kind: BulkKind
  request: StoredRequest
  actor: string
  reason: string
  nextPart: number
}

interface Step {
  done: readonly string[]
  /** The jobs of which there is work to take now. */
  ready: readonly string[]
  passed: Partial<Record<PassedReason, number>>
}

/** What a step came to. */
export interface BulkStep {
  id: string
  /** The jobs whose work became ready, and is committed. */
  ready: readonly string[]
}

/** A step takes a thousand pieces: its transaction is short, and so is the time for which others find them locked. */
const PARTS_AT_ONCE = 4

/**
 * Takes the next parts of the act `id`, or with null of one that stands still, in a transaction of its own. Parts whose transaction
 * commits are done once; those whose process is killed before are as they were.
 * @returns Null when there is nothing to do, or somebody else is at it
 */
export async function carryOnBulk(
  database: Pick<Database, 'transaction'>,
  id: string | null,
  { partsAtOnce = PARTS_AT_ONCE } = {},
): Promise<BulkStep | null> {
  return await database.transaction(async (tx) => {
    const { rows: open } = await tx.query<OpenBulk>(TAKE_BULK_SQL, [id])
    const [act] = open
    if (act === undefined) return null
    const parts = [act.id, act.nextPart, act.nextPart + partsAtOnce]
    // By a statement of its own: a join would have the parts of the row as it was before it was locked.
    const { rows } = await tx.query<{ ids: string[] }>(BULK_PARTS_SQL, parts)
    const { done, passed, ready } = await takeStep(
      tx,
      act,
      rows.flatMap(({ ids }) => ids),
    )
    await tx.query(MOVE_BULK_SQL, [...parts, done, JSON.stringify(passed)])
    return { id: act.id, ready }
  })
}

async function takeStep(tx: Connection, act: OpenBulk, ids: readonly string[]): Promise<Step> {
  const { kind, request } = act
  switch (kind) {
    case 'cancelWork':
      return await changePieces(tx, act, kind, ids, null)
    case 'postponeWork':
      return await changePieces(tx, act, kind, ids, request.startAfter)
    case 'prioritiseWork':
      return await changePieces(tx, act, kind, ids, rankOf(request.priority ?? 0))
    case 'redrive':
      return await redrive(tx, act, ids)
    case 'discard':
      return await discard(tx, ids)
    case 'cancel':
      return await cancelRuns(tx, act, ids)
    default:
      return kind satisfies never
  }
}

async function changePieces(
  tx: Connection,
  { request: { snapshot, transaction } }: OpenBulk,
  kind: keyof typeof CHANGE_PIECES_SQL,
  ids: readonly string[],
  value: unknown,
): Promise<Step> {
  const { rows } = await tx.query<{ done: string[]; names: string[]; passed: Step['passed'] }>(
    CHANGE_PIECES_SQL[kind],
    [ids, snapshot, transaction, ...(value === null ? [] : [value])],
  )
  const [{ done, names, passed }] = rows as [(typeof rows)[number]]
  return { done, passed, ready: kind === 'postponeWork' ? names : [] }
}

interface SeenLetter {
  [column: string]: unknown
  id: string
  name: string
}

async function seeLetters(tx: Connection, ids: readonly string[]): Promise<SeenLetter[]> {
  const { rows } = await tx.query<SeenLetter>(SEE_LETTERS_SQL, [ids])
  return rows
}

async function redrive(
  tx: Connection,
  { request: { jobs }, actor, reason }: OpenBulk,
  ids: readonly string[],
): Promise<Step> {
  const seen = await seeLetters(tx, ids)
  const known = seen.filter(({ name }) => jobs === undefined || jobs.includes(name))
  const asked = known.map(({ id }) => id)
  const { redriven, ...stay } = await redriveLetters(tx, asked, { actor, reason })
  return {
    done: redriven.map(({ workId }) => workId),
    ready: [...new Set(redriven.map(({ name }) => name))],
    passed: {
      gone: ids.length - seen.length,
      unknown: seen.length - known.length,
      ...stay,
      locked: known.length - redriven.length - stay.alreadyQueued - stay.endedWorkers,
    },
  }
}

async function discard(tx: Connection, ids: readonly string[]): Promise<Step> {
  const seen = await seeLetters(tx, ids)
  const { rows } = await tx.query<{ workId: string }>(DISCARD_DEAD_LETTERS_SQL, [
    seen.map(({ id }) => id),
  ])
  const done = rows.map(({ workId }) => workId)
  const passed = { gone: ids.length - seen.length, locked: seen.length - done.length }
  return { done, ready: [], passed }
}

/** Asks these runs to stop: their workers look once a second. */
async function cancelRuns(
  tx: Connection,
  { actor, reason }: OpenBulk,
  ids: readonly string[],
): Promise<Step> {
  const { rows } = await tx.query<{ running: number; done: string[] }>(CANCEL_RUNS_SQL, [
    ids,
    actor,
    reason,
  ])
  const [{ running, done }] = rows as [(typeof rows)[number]]
  const passed = { gone: ids.length - running, unchanged: running - done.length }
  return { done, ready: [], passed }
}

export interface BulkCarrier {
  /** Goes on with an act until it has ended, or with all that stand still. */
  wake(id?: string | null): void
  /** Makes no more steps. Resolves once the one under way is over. */
  stop(): Promise<void>
}

const FIRST_PAUSE_MS = 1_000
/** A step that cannot be made is tried for as long as nobody stops the act, which shows the problem. */
const MAX_PAUSE_MS = 30_000
const MAX_PROBLEM_LENGTH = 500

/** Carries acts on in steps, one after the other. */
export function createBulkCarrier(options: {
  database: Pick<Database, 'transaction' | 'query'>
  log: Pick<Logger, 'warn'>
  /** Work of this job is ready, and committed. */
  onReady: (name: string) => void
}): BulkCarrier {
  const { database, log, onReady } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const carried = new Map<string | null, Promise<void>>()

  async function carry(asked: string | null): Promise<void> {
    let id = asked
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      try {
        const step = await carryOnBulk(database, id)
        if (step === null && id === asked) return
        // This one has ended, or somebody else goes on with it: look for another that stands still.
        id = step?.id ?? asked
        step?.ready.forEach(onReady)
        pauseMs = FIRST_PAUSE_MS
      } catch (error) {
        log.warn({ err: error, id }, 'a step of a bulk act failed, trying again')
        await tellProblem(id, error).catch(() => undefined)
        await pause(pauseMs, undefined, { signal, ref: false }).catch(() => undefined)
        pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)
      }
    }
  }

  async function tellProblem(id: string | null, error: unknown): Promise<void> {
    const message = error instanceof Error ? error.message : String(error)
    await database.query(TELL_PROBLEM_SQL, [id, storableText(message, MAX_PROBLEM_LENGTH)])
  }

  return {
    wake(id = null) {
      if (signal.aborted || carried.has(id)) return
      carried.set(
        id,
        carry(id).finally(() => carried.delete(id)),
      )
    },
    async stop() {
      stopping.abort()
      await Promise.all(carried.values())
    },
  }
}
