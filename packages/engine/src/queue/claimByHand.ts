import { CARRIED, listColumns } from './carried.ts'
import type { Connection } from '../database/database.ts'
import type { LetterTaken } from './deadLetterSql.ts'
import { readPayload, type Facts } from './envelope.ts'
import { lockLimits, type FullLimit } from './limitSql.ts'
import { MAX_INLINE_BYTES } from './queueTables.ts'
import type { Taken } from './taken.ts'

/** A run that a person starts: of a payload of their own, or of a dead letter. */
export interface RunByHand {
  claimId: string
  runId: string
  name: string
  startedAt: Date
  exclusiveKey: string | null
  expireSeconds: number
  /** Who starts it and how. With a dead letter, beside what that has. */
  facts: Facts
  /** As `storablePayload` returns it, with its label and its key as JobWork has it. A dead letter has its own. */
  payload?: unknown
  label?: string | undefined
  key?: string | undefined
  /** The work that was a dead letter. Default: none. */
  letter?: LetterTaken | undefined
}

/**
 * Claims a run by hand for this worker, before its handler starts. Returns null, and claims nothing, when a run with its exclusive
 * key is under way, and `{ full }` when a limit over all workers has no room.
 */
export async function claimByHand(
  tx: Connection,
  workerId: string,
  { claimId, runId, name, startedAt, exclusiveKey, expireSeconds, letter, ...own }: RunByHand,
): Promise<Taken | { full: FullLimit } | null> {
  const origin = letter === undefined ? 'hand' : 'deadLetter'
  const facts = { ...letter?.facts, ...own.facts }
  const given = letter === undefined ? own.payload : readPayload(letter)
  const payload = JSON.stringify(given === undefined ? {} : given)
  const label = (letter === undefined ? own.label : letter.label) ?? null
  const key = letter?.key ?? own.key ?? null
  const bytes = letter?.bytes ?? Buffer.byteLength(payload)
  const isLong = letter === undefined && bytes > MAX_INLINE_BYTES
  const payloadId = isLong ? runId : (letter?.payloadId ?? null)
  const { id: workId = null, attempt = 1, uniqueKey = null } = letter ?? {}
  const { failures = 0, losses = 0, lossesAlone = 0 } = letter ?? {}
  const limits = await lockLimits(tx, name, key)
  if (!Array.isArray(limits)) return { full: limits }
  const carried: Readonly<Record<string, unknown>> = {
    ...{ attempt, failures, losses, lossesAlone, uniqueKey, key, label, bytes, payloadId },
    ...{ rank: letter?.rank ?? 0, needs: letter?.needs ?? 0, facts: JSON.stringify(facts) },
    enqueuedAt: letter?.enqueuedAt ?? startedAt,
  }
  const { rowCount } = await tx.query(CLAIM_BY_HAND_SQL, [
    claimId,
    name,
    workerId,
    origin,
    exclusiveKey,
    startedAt,
    expireSeconds,
    runId,
    workId,
    limits.length > 0 ? limits : null,
    payload,
    payloadId,
    isLong,
    ...CARRIED.map((column) => carried[column.name]),
  ])
  if (rowCount !== 1) return null
  return {
    ...{
      id: runId,
      name,
      attempt,
      startedAt,
      workId,
      claim: { id: claimId, open: new Set([runId]) },
      origin,
    },
    ...{ payload: given, bytes, payloadId, payloadMissing: letter?.payloadMissing ?? null },
    ...{ label, facts, failures, losses, lossesAlone, uniqueKey },
    ...{ isReplaced: false, key: null, from: null, isPlain: false },
  }
}

const CLAIM_BY_HAND_SQL = `
  with claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "origin", "exclusiveKey", "startedAt", "expiresAt", "runIds", "workIds",
      "limits", "place", "payloads", ${listColumns(CARRIED.map(({ list }) => list))})
    values ($1::uuid, $2::text, $3, $4, $5, $6::timestamptz, now() + $7::int * interval '1 second', array[$8::uuid], array[$9::uuid],
      $10::text[], case when $10::text[] is not null then nextval('roundsman."JobPlace"') end,
      case when $12::uuid is null then array[$11::text::jsonb] end,
      ${CARRIED.map(({ type }, at) => `array[$${at + 14}::${type}]`).join(', ')})
    on conflict ("exclusiveKey") do nothing
    returning 1
  ), long as (
    insert into "JobPayload" ("id", "workId", "payload") select $12::uuid, $8::uuid, $11::text::jsonb from claimed where $13::boolean
  )
  select 1 from claimed`
