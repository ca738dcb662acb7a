import type { PreparedStatement } from '../database/database.ts'
import { GIVES_WAY } from '../database/giveWay.ts'
import { areEndedSql, joinedSql, lastEndSql } from './children.ts'
import { PLACE_SQL } from './place.ts'

/*
 * The rows of JobStep: memos, and what is open.
 *
 *   open    A sleep that is not over, a step that has failed and is tried again, or an effect that may have happened.
 *   memo    It has ended (`endedAt`), with a result or an error. `seq` is the order of memos. Nothing changes it.
 *
 * Only the run that a claim holds writes rows. A zombie, whose claim is gone, finds no claim.
 */

export const STEP_TABLE_SQL = `
      CREATE TABLE "JobStep" (
          "workId" UUID NOT NULL,
          "name" TEXT NOT NULL,
          -- Tells calls of one step apart.
          "item" TEXT NOT NULL DEFAULT '',
          -- run, tx, sleep, wait (for a signal), map or invoke (children).
          "kind" TEXT NOT NULL,
          -- The order in which memos were written.
          "seq" INTEGER,
          -- The run that wrote it last.
          "runId" UUID NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL,
          "endedAt" TIMESTAMPTZ(3),
          "result" JSONB,
          -- Its code and message: of the failure, or of the last one so far.
          "error" JSONB,
          "failures" INTEGER NOT NULL DEFAULT 0,
          -- When a sleep is over.
          "until" TIMESTAMPTZ(3),
          -- Since when an effect may have happened that must not happen twice.
          "doubtSince" TIMESTAMPTZ(3),
          -- The generation in whose key its effect was called.
          "generation" INTEGER,
          -- The signal that a wait is for, and its key.
          "signal" TEXT,
          "key" TEXT,
          -- Who has sent the signal that ended a wait, or has ended a doubt, when and why.
          "answer" JSONB,
          -- No statement has looked for what ends the wait yet.
          "isFresh" BOOLEAN NOT NULL DEFAULT false,

          CONSTRAINT "JobStep_pkey" PRIMARY KEY ("workId", "name", "item")
      );

      CREATE INDEX "JobStep_doubt_idx" ON "JobStep"("workId") WHERE "doubtSince" IS NOT NULL;`

/** When work is due that waits for no instant. A date, since much reads `dueAt` as one. */
export const NEVER_DUE = `'9999-12-31T00:00:00Z'::timestamptz`

/** A row as `LOAD_STEPS` returns it. */
export interface StepRow {
  [column: string]: unknown
  name: string
  item: string
  seq: number | null
  endedAt: Date | null
  /** As JSON. */
  result: string | null
  error: { code: string; message: string } | null
  failures: number
  until: Date | null
  doubtSince: Date | null
  generation: number | null
  /** As it was loaded. */
  kind?: string
}

/** Whether there is a signal for a wait that was sent before its time-out. */
export const untakenSql = (step: string) => `exists (
          select from "JobSignal" sent where sent."takenBy" is null and sent."name" = ${step}."signal" and sent."key" = ${step}."key"
            and sent."createdAt" < ${step}."until" and sent."expiresAt" > now()
        )`

/**
 * All rows of the work `$1`. Sleeps that are over by the database's clock, and waits that have a signal, become memos, unless the claim `$2` of the worker `$3` is
 * gone: the run that has the work now gives memos their places.
 * Race: packages/engine/test/steps/steps.test.ts "is ended by no run whose claim is gone"
 */
export const LOAD_STEPS: PreparedStatement = {
  name: 'roundsman_load_steps',
  text: `
  with claim as materialized (
    select from "JobClaim" where "id" = $2::uuid and "workerId" = $3 for key share
  ), step as materialized (
    select *, xmin as "version" from "JobStep" where "workId" = $1::uuid
  ), over as (
    update "JobStep" slept set "endedAt" = over."at", "seq" = over."seq", "isFresh" = false,
      "result" = coalesce(over."joined", slept."result")
    from (
      select "name", "item", "version", "at", case when "kind" in ('map', 'invoke') then ${joinedSql('step')} end as "joined",
        (select coalesce(max("seq"), 0) from step) + row_number() over (order by "at", "name", "item") as "seq"
      from (
        select step.*, least(coalesce(step."until", (${lastEndSql('step')}), now()), now()) as "at" from step
      ) step where "endedAt" is null and (
        -- One for which a signal came in time is given that first.
        "until" <= now() and not ("kind" = 'wait' and "result" is null and ${untakenSql('step')}) or "kind" = 'wait' and "result" is not null or "kind" in ('map', 'invoke') and ${areEndedSql('step')}
      ) and exists (select from claim)
    ) over
    where slept."workId" = $1::uuid and slept."name" = over."name" and slept."item" = over."item" and slept."endedAt" is null
      -- A child of it was not reopened meanwhile.
      and slept.xmin = over."version"
    returning slept."name", slept."item", slept."seq", slept."endedAt", slept."result"
  )
  select step."name", step."item", coalesce(over."seq", step."seq") as "seq", coalesce(over."endedAt", step."endedAt") as "endedAt",
         coalesce(over."result", step."result")::text as "result", step."error", step."failures", step."until", step."doubtSince", step."generation",
         step."kind"
  from step left join over using ("name", "item")
  order by 3 nulls last`,
}

/** The columns that the writer fills, and the types of their parameters. */
export const MEMO_COLUMNS = {
  workId: 'uuid',
  name: 'text',
  item: 'text',
  kind: 'text',
  seq: 'int',
  runId: 'uuid',
  startedAt: 'timestamptz',
  endedAt: 'timestamptz',
  result: 'text',
  error: 'text',
  failures: 'int',
  doubtSince: 'timestamptz',
  generation: 'int',
} as const

const NAMES = Object.keys(MEMO_COLUMNS)
const JSONS = ['result', 'error']
const list = (of: readonly string[]) => of.map((name) => `"${name}"`).join(', ')
const valueOf = (name: string) =>
  JSONS.includes(name) ? `memo."${name}"::jsonb` : `memo."${name}"`
const SET = NAMES.slice(3)
  .map((name) => `"${name}" = excluded."${name}"`)
  .join(', ')

/**
 * Writes rows of runs that claims of the worker `$1` hold: `$2` the claims, then a claim and MEMO_COLUMNS for each row. A run may write
 * the same memo twice, since an answer may be lost. It returns those that it wrote, with their results as they will be read.
 * Race: packages/engine/test/steps/stepsKilled.test.ts "workers that are SIGKILLed at any moment do no step with a memo again, book once, and charge once"
 */
export const KEEP_MEMOS: PreparedStatement = {
  name: 'roundsman_keep_memos',
  text: `
  with claim as materialized (
    select "id" from "JobClaim" where "id" = any($2::uuid[]) and "workerId" = $1 and ${GIVES_WAY}
    order by "id" for key share
  )
  insert into "JobStep" as step (${list(NAMES)})
  select ${NAMES.map(valueOf).join(', ')}
  from unnest($3::uuid[], ${Object.values(MEMO_COLUMNS)
    .map((type, at) => `$${at + 4}::${type}[]`)
    .join(', ')}) as memo("claimId", ${list(NAMES)})
    join claim on claim."id" = memo."claimId"
  on conflict ("workId", "name", "item") do update set ${SET}
  where step."endedAt" is null or (step."runId" = excluded."runId" and step."seq" = excluded."seq")
  returning step."workId"::text as "workId", step."name", step."item", step."result"::text as "result"`,
}

/** Whether the worker `$1` still holds the claim `$2`, and the row of the step `$4`, `$5` of the work `$3`. */
export const FIND_MEMO_SQL = `
  select (select true from "JobClaim" where "id" = $2::uuid and "workerId" = $1) is not null as "isHeld",
         step."name", step."item", step."seq", step."endedAt", step."result"::text as "result", step."error", step."failures",
         step."until", step."doubtSince", step."generation"
  from (select) one left join "JobStep" step on step."workId" = $3::uuid and step."name" = $4 and step."item" = $5`

/** The version of the host's product that wrote the row of `step`, and where it stands. */
export const WRITER_VERSION = `coalesce(worker."version", former."version")`
export const JOIN_WRITER = `
    left join "JobRun" run on run."id" = step."runId"
    left join "JobWorker" worker on worker."id" = run."workerId"
    left join "JobFormerWorker" former on former."id" = run."workerId"`

/** Which version wrote the memo of the step `$2`, `$3` of the work `$1`. */
export const FIND_WRITER_SQL = `
  select ${WRITER_VERSION} as "version" from "JobStep" step ${JOIN_WRITER}
  where step."workId" = $1::uuid and step."name" = $2 and step."item" = $3`

/** The result of the step `$2`, `$3` of the work `$1`. Its run may be pruned while the work waits or is a dead letter. */
export const FIND_RESULT_OF_STEP_SQL = `
  select coalesce(run."name", work."name", letter."name") as "name", step."result"::text as "payload"
  from "JobStep" step left join "JobRunAll" run on run."id" = step."runId"
    left join "JobWork" work on work."id" = step."workId" left join "JobDeadLetter" letter on letter."id" = step."workId"
  where step."workId" = $1::uuid and step."name" = $2 and step."item" = $3 and step."endedAt" is not null
    and coalesce(run."name", work."name", letter."name") is not null`

/**
 * Stores the memo of a step in the transaction of its effects. `counted` is the statement that counts a batch, which fails
 * when the run is no longer the worker's. Parameters are texts, which every library can send.
 * Race: packages/engine/test/steps/hostSteps.test.ts "of a run that another worker has ended commits nothing"
 */
export const keepInTransactionSql = (counted: string, first: number) => {
  const at = (offset: number) => `$${first + offset}`
  return `
  with counted as (${counted})
  insert into "JobStep" as step ("workId", "name", "item", "kind", "seq", "runId", "startedAt", "endedAt", "result")
  select ${at(0)}::uuid, ${at(1)}, ${at(2)}, 'tx', ${at(3)}::int, counted."id",
    to_timestamp(${at(4)}::float8 / 1000), to_timestamp(${at(5)}::float8 / 1000), ${at(6)}::text::jsonb
  from counted
  on conflict ("workId", "name", "item") do update set "kind" = excluded."kind", "seq" = excluded."seq", "runId" = excluded."runId",
    "startedAt" = excluded."startedAt", "endedAt" = excluded."endedAt", "result" = excluded."result", "error" = null
  where step."endedAt" is null
  returning step."result"::text as "result"`
}

/** The open waits of runs whose work goes on, of `final`, whose column `waits` lists them. */
export const INSERT_WAITS_SQL = `
    insert into "JobStep" as step ("workId", "name", "item", "kind", "runId", "startedAt", "until", "signal", "key", "isFresh")
    select final."workId", wait."name", wait."item", coalesce(wait."kind", 'sleep'), final."runId",
      now() - wait."ageMs" * interval '1 millisecond', coalesce(wait."until", now() + wait."ms" * interval '1 millisecond'), wait."signal", wait."key", wait."kind" is not null
    from final cross join lateral jsonb_to_recordset(final."waits"::jsonb)
      as wait("name" text, "item" text, "ageMs" float8, "until" timestamptz, "ms" float8, "kind" text, "signal" text, "key" text)
    where final."next" in ('suspend', 'again') and (wait."until" is not null or wait."ms" is not null or wait."kind" is not null)
    on conflict ("workId", "name", "item") do update set "isFresh" = true, "runId" = excluded."runId",
      "signal" = excluded."signal", "key" = excluded."key" where step."endedAt" is null and excluded."isFresh"`

/** The code of work whose handler has called a step while the work waited. */
export const BESIDE_WAIT = 'await_beside_wait'

/** Wakes work that waits in a step. Its row stays locked until the transaction ends, so that no claim takes it before. */
const wakeSql = (parked: string) => `
    update "JobWork" work set "dueAt" = now(), "place" = ${PLACE_SQL} from ${parked}
    where work."id" = ${parked}."id" and work."place" is null and work."resumptions" is not null`

/**
 * Has the work `$1` fail with the error `$2` where it waits: its next run reads the error before its handler begins.
 * Race: packages/engine/test/steps/steps.test.ts "beside which the handler awaits something else fails the work, and names the step"
 */
export const FAIL_WAIT_SQL = `
  with parked as materialized (
    select "id" from "JobWork" where "id" = $1::uuid and "resumptions" is not null for update
  ), marked as (
    update "JobStep" step set "error" = $2::text::jsonb from parked where step."workId" = parked."id" and step."endedAt" is null
    returning step."workId"
  ), woken as (${wakeSql('parked')}
  )
  select from marked`

/**
 * Ends the doubt about the effect of a step of the work `$1`, which has one of the names `$2` and the item `$3`. The effect has happened
 * (`$4`), with the result `$5`, or it has not. The person `$6` says so, for the reason `$7`.
 * Where a claim holds the work, its step may be under way.
 * Race: packages/engine/test/steps/doubt.test.ts "is answered once, whatever a worker does meanwhile"
 */
export const ANSWER_DOUBT_SQL = `
  with parked as materialized (
    select "id", "name" from "JobWork" where "id" = $1::text::uuid for update
  ), given_up as materialized (
    select "id", "name" from "JobDeadLetter" where "id" = $1::text::uuid for update
  ), at_rest as (
    select * from parked union all select * from given_up
  ), answered as (
    update "JobStep" step set "doubtSince" = null, "error" = null, "endedAt" = case when $4::text::boolean then now() end,
      "answer" = jsonb_build_object('at', now(), 'actor', $6::text, 'reason', $7::text, 'happened', $4::text::boolean),
      "result" = case when $4::text::boolean then $5::text::jsonb end, "seq" = case when $4::text::boolean then (
        select coalesce(max(memo."seq"), 0) + 1 from "JobStep" memo where memo."workId" = step."workId"
      ) end
    from at_rest
    where step."workId" = at_rest."id" and step."name" = any($2::text[]) and step."item" = $3::text and step."doubtSince" is not null
    returning at_rest."id", at_rest."name"
  ), woken as (${wakeSql('answered')}
  )
  select "name", pg_current_xact_id()::text as "transactionId" from answered`

/** Whether a dead letter is one since this step has failed. */
export const isFailedStepSql = (letter: string, step: string) =>
  `(${letter}."facts" #> '{failedStep}' = jsonb_build_object('name', ${step}."name", 'item', ${step}."item"))`

/**
 * Deletes memos of the dead letters in `free`, so that their steps are called again. These are the step whose failure made the dead
 * letter (`failedStep` of its facts), steps that a cancellation ended, and steps from the place `from` on unless that is null. An effect in doubt keeps its row and
 * its key.
 */
export const goOnSql = (from: string) => `, retried as (
    delete from "JobStep" step using free
    where step."workId" = free."id" and step."doubtSince" is null and (
      step."error" ->> 'code' = 'cancelled' or coalesce(step."seq", 'infinity'::float8) >= ${from} or step."error" is not null and ${isFailedStepSql('free', 'step')}
    )
  ), eased as (
    update "JobStep" step set "failures" = 0, "error" = case when step."error" ->> 'code' <> '${BESIDE_WAIT}' then step."error" end
    from free where step."workId" = free."id" and step."endedAt" is null and (${from} is null or step."doubtSince" is not null)
      and (step."failures" > 0 or step."error" is not null)
  )`

/** From the step that `name` and `item` name; from the first, where `name` is empty; null: from none. */
export const seqOfSql = (name: string, item: string) => `(case when ${name} = '' then 0 else (
        select "from"."seq" from "JobStep" "from"
        where "from"."workId" = free."id" and "from"."name" = ${name} and "from"."item" = ${item}
      ) end)`
