import type { Connection } from './database.ts'
import type { LetterTaken } from './deadLetterSql.ts'
import { toFacts, type Envelope } from './envelope.ts'
import type { NewRun, TakenWork } from './claimWork.ts'
import { lockLimits, type FullLimit } from './limitSql.ts'
import { MAX_INLINE_BYTES } from './queueTables.ts'

/** A run that a person starts: of a payload of their own, as `storablePayload` returns it, or of a dead letter. */
export interface RunByHand {
  claimId: string
  run: NewRun
  envelope: Envelope
  exclusiveKey: string | null
  expireSeconds: number
  /** As JobWork has it. Default: that of the dead letter, or none. */
  key?: string | undefined
  /** The work that was a dead letter. Default: none. */
  letter?: LetterTaken
}

/**
 * Claims a run by hand for this worker, before its handler starts. Returns null, and claims nothing, when a run with its exclusive
 * key is under way, and `{ full }` when a limit over all workers has no room.
 */
export async function claimByHand(
  tx: Connection,
  workerId: string,
  { claimId, run, envelope, exclusiveKey, expireSeconds, key, letter }: RunByHand,
): Promise<TakenWork | { full: FullLimit } | null> {
  const origin = letter === undefined ? 'hand' : 'deadLetter'
  const { actor, reason, scheduledFor, dryRun } = run
  const facts = toFacts({
    ...envelope,
    trigger: run.trigger,
    ...(actor !== null && { actor }),
    ...(reason !== null && { reason }),
    ...(scheduledFor !== null && { scheduledFor: scheduledFor.toISOString() }),
    ...(dryRun && { dryRun }),
  })
  const { payload: given = {} } = envelope
  const payload = JSON.stringify(given)
  const ownKey = letter?.key ?? key ?? null
  const bytes = letter?.bytes ?? Buffer.byteLength(payload)
  const isLong = letter === undefined && bytes > MAX_INLINE_BYTES
  const payloadId = isLong ? run.id : (letter?.payloadId ?? null)
  const limits = await lockLimits(tx, run.name, ownKey)
  if (!Array.isArray(limits)) return { full: limits }
  const { rowCount } = await tx.query(CLAIM_BY_HAND_SQL, [
    claimId,
    run.name,
    workerId,
    origin,
    exclusiveKey,
    run.startedAt,
    expireSeconds,
    run.id,
    run.workId,
    run.attempt,
    letter?.rank ?? 0,
    letter?.failures ?? 0,
    letter?.losses ?? 0,
    letter?.lossesAlone ?? 0,
    letter?.needs ?? 0,
    letter?.uniqueKey ?? null,
    ownKey,
    run.label ?? null,
    facts === null ? null : JSON.stringify(facts),
    bytes,
    letter?.enqueuedAt ?? run.startedAt,
    payload,
    limits.length > 0 ? limits : null,
    payloadId,
    isLong,
  ])
  if (rowCount !== 1) return null
  const { failures = 0, losses = 0, lossesAlone = 0 } = letter ?? {}
  return {
    ...{ run, origin, failures, losses, lossesAlone, bytes, isReplaced: false, isPlain: false },
    held: { id: claimId, open: 1 },
    envelope: { ...envelope, trigger: run.trigger },
    ...(payloadId !== null && { payloadId }),
    ...(letter?.payloadMissing !== undefined && { payloadMissing: letter.payloadMissing }),
  }
}

const CLAIM_BY_HAND_SQL = `
  with claimed as (
    insert into "JobClaim" ("id", "name", "workerId", "origin", "exclusiveKey", "startedAt", "expiresAt", "runIds", "workIds", "attempts",
      "ranks", "failures", "losses", "lossesAlone", "needs", "uniqueKeys", "keys", "labels", "facts", "bytes", "enqueuedAts", "payloads", "limits", "place", "payloadIds")
    values ($1::uuid, $2::text, $3, $4, $5, $6::timestamptz, now() + $7::int * interval '1 second', array[$8::uuid], array[$9::uuid],
      array[$10::int], array[$11::int], array[$12::int], array[$13::int], array[$14::int], array[$15::int::smallint], array[$16::text],
      array[$17::text], array[$18::text], array[$19::text::jsonb], array[$20::int], array[$21::timestamptz],
      case when $24::uuid is null then array[$22::text::jsonb] end,
      $23::text[], case when $23::text[] is not null then nextval('roundsman."JobPlace"') end,
      case when $24::uuid is not null then array[$24::uuid] end)
    on conflict ("exclusiveKey") do nothing
    returning 1
  ), long as (
    insert into "JobPayload" ("id", "workId", "payload") select $24::uuid, $8::uuid, $22::text::jsonb from claimed where $25::boolean
  )
  select 1 from claimed`
