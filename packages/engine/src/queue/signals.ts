import { MAX_REASON_LENGTH } from '../arguments/actions.ts'
import { checkSentSignal } from '../arguments/actions.ts'
import { expectShort } from '../arguments/signals.ts'
import { SIGNALS } from '../database/channels.ts'
import type { Connection, PreparedStatement } from '../database/database.ts'
import { JobError } from '../job/jobError.ts'
import type { SentSignal, Signal } from '../job/signal.ts'
import { storablePayload } from '../job/storablePayload.ts'
import { IS_PARKED, joinChildren, WAITS_SQL, type Looked } from './children.ts'
import { PLACE_SQL } from './place.ts'
import { untakenSql } from './stepSql.ts'
import { isSomewhereSql } from './uniqueKeys.ts'
import { cancelAbandoned } from './waitingSql.ts'

/*
 * Signals, and what waits for them.
 *
 * A signal and a wait both begin fresh. answerWaits looks at fresh rows, so that a statement which sees both looks at the one that
 * commits later. It gives a signal to the oldest wait of work that is parked, and wakes that work, whose next run
 * makes the wait a memo. Each further suspension makes the waits of the work fresh again: what was answered meanwhile wakes it then.
 */

/** How many days signals and their ids are kept. */
const DAYS_KEPT = 30

export const SIGNAL_TABLE_SQL = `
      CREATE TABLE "JobSignal" (
          "name" TEXT NOT NULL,
          "key" TEXT NOT NULL,
          "id" TEXT NOT NULL,
          "payload" JSONB NOT NULL,
          -- Its \`actor\` and \`reason\`, where it has them.
          "sender" JSONB NOT NULL DEFAULT '{}',
          -- The work whose wait it has ended.
          "takenBy" UUID,
          -- No statement has looked for its wait yet.
          "isFresh" BOOLEAN NOT NULL DEFAULT true,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "expiresAt" TIMESTAMPTZ(3) NOT NULL,

          CONSTRAINT "JobSignal_pkey" PRIMARY KEY ("name", "key", "id")
      );

      CREATE INDEX "JobSignal_open_idx" ON "JobSignal"("name", "key", "createdAt", "id") WHERE "takenBy" IS NULL;
      CREATE INDEX "JobSignal_fresh_idx" ON "JobSignal"("createdAt") WHERE "isFresh";
      CREATE INDEX "JobSignal_expiresAt_idx" ON "JobSignal"("expiresAt");

      CREATE INDEX "JobStep_signal_idx" ON "JobStep"("signal", "key", "startedAt") WHERE "endedAt" IS NULL AND "signal" IS NOT NULL;
      CREATE INDEX "JobStep_fresh_idx" ON "JobStep"("workId") WHERE "isFresh";`

/**
 * Stores a signal. The first of those with the same name, key and id counts.
 * @throws ArgumentError, JobError `payload_invalid`, both before anything is written
 */
export async function sendSignal<Input>(
  tx: Connection,
  wake: (subject: string, transactionId: string) => void,
  signal: Signal<unknown, Input>,
  sent: SentSignal<Input>,
): Promise<'stored' | 'duplicate'> {
  const given = checkSentSignal(signal, sent)
  const { signal: to, payload: asked = {} } = given
  const { payload, bytes, accepted } = storablePayload(to, asked)
  expectShort(bytes)
  if (accepted == null) {
    const message = 'must not be null, which waitFor returns after its time-out'
    throw new JobError('payload_invalid', `payload of ${to.name}: ${message}`, {
      retryable: false,
      details: { issues: [{ path: [], code: 'custom', message }] },
    })
  }
  const { actor = null, reason = null } = given.by
  const values = [to.name, given.key, given.id, JSON.stringify(payload), actor, reason]
  const { rows } = await tx.query<{ transactionId: string }>(SEND_SIGNAL_SQL, values)
  const [stored] = rows
  if (stored === undefined) return 'duplicate'
  wake(SIGNALS, stored.transactionId)
  return 'stored'
}

const IS_OPEN = `step."endedAt" is null and step."signal" is not null`

/**
 * Stores the signal `$1` with the key `$2`, the id `$3` and the payload `$4`. No row: there is one with this id. If a person (`$5`)
 * sends it, for the reason `$6`, that is on record, with the work that waits for it at this moment.
 */
const SEND_SIGNAL_SQL = `
  with sent as (
    insert into "JobSignal" ("name", "key", "id", "payload", "sender", "expiresAt")
    values ($1::text, $2::text, $3::text, $4::text::jsonb, jsonb_strip_nulls(jsonb_build_object('actor', $5::text, 'reason', $6::text)),
      now() + interval '${DAYS_KEPT} days')
    on conflict do nothing
    returning "name"
  ), recorded as (
    insert into "JobAction" ("action", "name", "workId", "actor", "reason")
    select 'signal', coalesce(waiting."name", ''), waiting."id", $5::text, left(concat_ws('; ', $1::text || ' of ' || $2::text, $6::text), ${MAX_REASON_LENGTH})
    from sent left join lateral (
      select work."name", work."id" from "JobStep" step join "JobWork" work on work."id" = step."workId"
      where ${IS_OPEN} and step."signal" = $1::text and step."key" = $2::text and step."result" is null
      order by step."startedAt" limit 1
    ) waiting on true
    where $5::text is not null
  )
  select pg_current_xact_id()::text as "transactionId" from sent`

/** Whether there is something to look at for answerWaits. */
export const HAS_FRESH = `exists (select from "JobSignal" where "isFresh") or exists (select from "JobStep" where "isFresh")
    or exists (select from "JobChild" where "isFresh")`

/** The most rows of each kind that one look takes. */
const MAX_LOOKED_AT = 1_000

const RUNNING = `
          select coalesce(held."workId", held."runId") from "JobClaim" claim
            cross join unnest(claim."runIds", claim."workIds") as held("runId", "workId")`
/** Whether a free signal was sent before the wait was over, though no worker has looked since. */
const IN_TIME = untakenSql('step')

/*
 *   fresh_step   Waits that no look has seen.
 *   subject  The names and keys of these waits, and of signals that no look has seen.
 *   seen     The open waits for a subject, of parked work.
 *   held     Those of them that this statement has locked with their work.
 *   sent     The free signals for them, locked.
 *   pair     The oldest signal for the oldest wait, the next signal for the next wait.
 *   looked   Waits that are not fresh any more: what these may end was looked for.
 *            Not if another session has locked a signal for them, since it may not see the wait. The same holds for signals.
 *   stale    Fresh waits of work that has ended. If a later run has made the wait fresh again, it stays fresh.
 *   taken    Signals that are taken by a wait, or not fresh any more.
 *   woken    The work of waits that have a signal.
 * Race: packages/engine/test/steps/signalRaces.test.ts "ends each wait, whatever the order of their commits, and each signal ends one"
 */
const ANSWER_WAITS: PreparedStatement = {
  name: 'roundsman_answer_waits',
  text: `
  with fresh_step as materialized (
    select "signal", "key" from "JobStep" step where "isFresh" and "signal" is not null and ${WAITS_SQL} limit ${MAX_LOOKED_AT}
  ), subject as materialized (
    select "signal", "key" from fresh_step
    union
    select "name", "key" from (
      select "name", "key" from "JobSignal" where "isFresh" order by "createdAt" limit ${MAX_LOOKED_AT}
    ) fresh
  ), seen as materialized (
    select step.* from subject cross join lateral (
      select step."workId", step."name", step."item" from "JobStep" step
      where ${IS_OPEN} and step."signal" = subject."signal" and step."key" = subject."key" and (
        select true from "JobWork" work where work."id" = step."workId" and ${IS_PARKED}
      )
      order by step."startedAt" limit ${MAX_LOOKED_AT}
    ) step
  ), held as materialized (
    select step.* from seen cross join lateral (
      select step."workId", step."name", step."item", step."signal", step."key", step."startedAt", step."until", step."result" is not null as "isAnswered",
        coalesce(step."until" <= now() and not ${IN_TIME}, false) as "isOver"
      from "JobStep" step join "JobWork" work on work."id" = step."workId"
      where step."workId" = seen."workId" and step."name" = seen."name" and step."item" = seen."item" and ${IS_OPEN} and ${IS_PARKED}
      for update of step, work skip locked
    ) step
  ), sent as materialized (
    select signal.* from subject cross join lateral (
      select signal."name", signal."key", signal."id", signal."payload", signal."sender", signal."createdAt", signal."expiresAt" from "JobSignal" signal
      where signal."takenBy" is null and signal."name" = subject."signal" and signal."key" = subject."key"
      order by signal."createdAt", signal."id" limit ${MAX_LOOKED_AT} for update skip locked
    ) signal
  ), pair as materialized (
    select wait."workId", wait."name", wait."item", wait."signal", wait."key", signal."id", signal."payload",
      signal."sender" || jsonb_build_object('at', signal."createdAt") as "answer", greatest(signal."createdAt", wait."startedAt") as "answeredAt" from (
      select held.*, row_number() over (partition by "signal", "key" order by "startedAt", "workId", "name", "item") as "nth"
      from held where not "isAnswered" and not "isOver"
    ) wait join (
      select sent.*, row_number() over (partition by "name", "key" order by "createdAt", "id") as "nth" from sent where "expiresAt" > now()
    ) signal on signal."name" = wait."signal" and signal."key" = wait."key" and signal."nth" = wait."nth"
      and (wait."until" is null or signal."createdAt" < wait."until")
  ), looked as (
    update "JobStep" step set "isFresh" = false, "result" = coalesce(pair."payload", step."result"),
      "answer" = coalesce(pair."answer", step."answer"),
      -- When it was over, by which its memo is ordered.
      "until" = case when pair."id" is null then step."until" else least(step."until", pair."answeredAt") end
    from held left join pair using ("workId", "name", "item")
    where step."workId" = held."workId" and step."name" = held."name" and step."item" = held."item" and (
      pair."id" is not null or step."isFresh" and (held."isAnswered" or held."isOver" or not exists (
        select from "JobSignal" signal
        where signal."takenBy" is null and signal."name" = held."signal" and signal."key" = held."key" and not exists (
          select from sent where sent."name" = signal."name" and sent."key" = signal."key" and sent."id" = signal."id"
        )
      ))
    )
  ), stale as (
    update "JobStep" step set "isFresh" = false from (
      select "workId", "name", "item", "runId" from "JobStep" step
      where "isFresh" and not ${isSomewhereSql('step."workId"', RUNNING)} limit ${MAX_LOOKED_AT}
    ) fresh
    where step."workId" = fresh."workId" and step."name" = fresh."name" and step."item" = fresh."item" and step."runId" = fresh."runId"
      and step."isFresh"
  ), taken as (
    update "JobSignal" signal set "isFresh" = false, "takenBy" = pair."workId"
    from sent left join pair on pair."signal" = sent."name" and pair."key" = sent."key" and pair."id" = sent."id"
    where signal."name" = sent."name" and signal."key" = sent."key" and signal."id" = sent."id" and (pair."id" is not null or signal."isFresh" and not exists (
      select from seen join "JobStep" step using ("workId", "name", "item")
      where step."signal" = sent."name" and step."key" = sent."key" and not exists (
        select from held where held."workId" = seen."workId" and held."name" = seen."name" and held."item" = seen."item"
      )
    ))
  ), woken as (
    update "JobWork" work set "dueAt" = now(), "place" = ${PLACE_SQL}
    from (
      select "workId" from held where "isAnswered" union select "workId" from pair
    ) ended where work."id" = ended."workId" and work."place" is null and work."resumptions" > 0
    returning work."name"
  )
  select (select coalesce(array_agg(distinct "name"), '{}') from woken) as "names", (select count(*) from subject) >= ${MAX_LOOKED_AT} as "isMore",
    exists (select from "JobChild" where "isFresh") or exists (select from "JobStep" where "isFresh" and "kind" in ('map', 'invoke')) as "areChildren",
    exists (select from "JobChild" where "isFresh" and "endedAt" is null) as "areAbandoned"`,
}

/**
 * Delivers signals to waiting steps, and wakes their work. It also wakes work whose children have ended, and cancels children
 * of cancelled work.
 */
export async function answerWaits(connection: Connection): Promise<Looked> {
  type Answered = Looked & { areChildren: boolean; areAbandoned: boolean }
  const { rows } = await connection.query<Answered>(ANSWER_WAITS, [])
  const [answered] = rows
  if (answered === undefined) return { names: [], isMore: false }
  const { areChildren, areAbandoned } = answered
  const cancelled = areAbandoned ? await cancelAbandoned(connection) : []
  const joined = areChildren ? await joinChildren(connection) : { names: [], isMore: false }
  return {
    names: [...answered.names, ...cancelled, ...joined.names],
    isMore: answered.isMore || joined.isMore,
  }
}
