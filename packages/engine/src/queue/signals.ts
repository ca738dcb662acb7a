import { checkSentSignal, expectShort } from '../arguments/signals.ts'
import { SIGNALS } from '../database/channels.ts'
import type { Connection, PreparedStatement } from '../database/database.ts'
import type { SentSignal, Signal } from '../job/signal.ts'
import { storablePayload } from '../job/storablePayload.ts'
import { IS_PARKED, joinChildren, type Looked } from './children.ts'
import { PLACE_SQL } from './place.ts'
import { isSomewhereSql } from './uniqueKeys.ts'

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
  const { payload, bytes } = storablePayload(given.signal, given.payload ?? null)
  expectShort(bytes)
  const values = [given.signal.name, given.key, given.id, JSON.stringify(payload)]
  const { rows } = await tx.query<{ transactionId: string }>(SEND_SIGNAL_SQL, values)
  const [stored] = rows
  if (stored === undefined) return 'duplicate'
  wake(SIGNALS, stored.transactionId)
  return 'stored'
}

/** Stores the signal `$1` with the key `$2`, the id `$3` and the payload `$4`. No row: there is one with this id. */
const SEND_SIGNAL_SQL = `
  insert into "JobSignal" ("name", "key", "id", "payload", "expiresAt")
  values ($1::text, $2::text, $3::text, $4::text::jsonb, now() + interval '${DAYS_KEPT} days')
  on conflict do nothing
  returning pg_current_xact_id()::text as "transactionId"`

/** Whether there is something to look at for answerWaits. */
export const HAS_FRESH = `exists (select from "JobSignal" where "isFresh") or exists (select from "JobStep" where "isFresh")
    or exists (select from "JobChild" where "isFresh")`

/** The most rows of each kind that one look takes. */
const MAX_LOOKED_AT = 1_000

const RUNNING = `
          select coalesce(held."workId", held."runId") from "JobClaim" claim
            cross join unnest(claim."runIds", claim."workIds") as held("runId", "workId")`
const IS_OPEN = `step."endedAt" is null and step."signal" is not null`

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
    select "workId", "name", "item", "signal", "key", "runId" from "JobStep" where "isFresh" limit ${MAX_LOOKED_AT}
  ), subject as materialized (
    select "signal", "key" from fresh_step where "signal" is not null
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
      select step."workId", step."name", step."item", step."signal", step."key", step."startedAt", step."result" is not null as "isAnswered",
        coalesce(step."until" <= now(), false) as "isOver"
      from "JobStep" step join "JobWork" work on work."id" = step."workId"
      where step."workId" = seen."workId" and step."name" = seen."name" and step."item" = seen."item" and ${IS_OPEN} and ${IS_PARKED}
      for update of step, work skip locked
    ) step
  ), sent as materialized (
    select signal.* from subject cross join lateral (
      select signal."name", signal."key", signal."id", signal."payload", signal."createdAt", signal."expiresAt" from "JobSignal" signal
      where signal."takenBy" is null and signal."name" = subject."signal" and signal."key" = subject."key"
      order by signal."createdAt", signal."id" limit ${MAX_LOOKED_AT} for update skip locked
    ) signal
  ), pair as materialized (
    select wait."workId", wait."name", wait."item", wait."signal", wait."key", signal."id", signal."payload" from (
      select held.*, row_number() over (partition by "signal", "key" order by "startedAt", "workId", "name", "item") as "nth"
      from held where not "isAnswered" and not "isOver"
    ) wait join (
      select sent.*, row_number() over (partition by "name", "key" order by "createdAt", "id") as "nth" from sent where "expiresAt" > now()
    ) signal on signal."name" = wait."signal" and signal."key" = wait."key" and signal."nth" = wait."nth"
  ), looked as (
    update "JobStep" step set "isFresh" = false, "result" = coalesce(pair."payload", step."result")
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
    update "JobStep" step set "isFresh" = false from fresh_step fresh
    where step."workId" = fresh."workId" and step."name" = fresh."name" and step."item" = fresh."item" and step."runId" = fresh."runId"
      and step."isFresh" and not ${isSomewhereSql('fresh."workId"', RUNNING)}
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
    exists (select from "JobChild" where "isFresh") or exists (select from "JobStep" where "isFresh" and "kind" in ('map', 'invoke')) as "areChildren"`,
}

/** Delivers signals to waiting steps, and wakes their work. It also wakes work whose children have ended. */
export async function answerWaits(connection: Connection): Promise<Looked> {
  const { rows } = await connection.query<Looked & { areChildren: boolean }>(ANSWER_WAITS, [])
  const [answered = { names: [], isMore: false, areChildren: false }] = rows
  if (!answered.areChildren) return answered
  const { names, isMore } = await joinChildren(connection)
  return { names: [...answered.names, ...names], isMore: answered.isMore || isMore }
}
