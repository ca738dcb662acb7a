import { CARRIED } from './carried.ts'
import { CHILD_TABLE_SQL } from './children.ts'
import { originOf } from './heldRuns.ts'
import { PLACE_SQL } from './place.ts'
import { SIGNAL_TABLE_SQL } from './signals.ts'
import { STEP_TABLE_SQL } from './stepSql.ts'

/*
 * The queue's tables. Each fact is in one of them.
 *
 *   JobWork        What waits: due, delayed, or to be retried. A claim deletes it; so do people who cancel it.
 *   JobClaim       What runs: one row for what one claim took, with an array for each fact, an element for each run. Its
 *                  worker deletes it once the last of its runs has ended; a round of another one does when the worker is lost.
 *   JobRun         What has ended, and what has had something to say before: a batch, progress, a log.
 *   JobStep        Steps of durable work: memos, and what is open. It stays with the runs of the work.
 *   JobChild       What durable work has enqueued and waits for. It stays with the steps of the parent.
 *   JobSignal      What programs and people have signalled, for 30 days.
 *   JobDeadLetter  What was given up. People retry or discard it.
 *   JobPayload     Payloads that are too long to be moved: from the enqueue to the last end. A row has an id of its own and is
 *                  never updated. The work, claim, dead letter or blocked run that has the payload names it as `payloadId`.
 *   JobUnique      Who holds a unique key, from the enqueue to the end. Work that has lost its key was replaced by newer.
 *   JobCancel      Requests to stop runs under way. The end of the run deletes it.
 *
 * A run is under way while its claim lists it and JobRun has no end of it.
 */

/** A payload of more bytes is in JobPayload, and not in the rows that move. */
export const MAX_INLINE_BYTES = 1_000

/** The common columns of JobWork and JobDeadLetter. If `payloadId` names a row of JobPayload, that has the payload. */
const WORK_COLUMNS = CARRIED.map(
  ({ name, type, constraint }) => `
          "${name}" ${type} ${constraint},`,
).join('')

/** Rows come and go by the thousand: vacuum has to follow, and not in naps. Without a large column `toast.…` does nothing. */
const BUSY = ['', 'toast.']
  .map(
    (of) =>
      `${of}autovacuum_vacuum_scale_factor = 0.05, ${of}autovacuum_vacuum_threshold = 5000, ${of}autovacuum_vacuum_cost_delay = 0`,
  )
  .join(', ')

export const QUEUE_TABLES_SQL = `
      CREATE SEQUENCE "JobPlace";

      CREATE TABLE "JobWork" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,
          -- Null: it is not due yet.
          "place" BIGINT DEFAULT ${PLACE_SQL},
          "dueAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,${WORK_COLUMNS}
          "payload" JSONB,

          CONSTRAINT "JobWork_pkey" PRIMARY KEY ("id")
      ) WITH (${BUSY});

      CREATE INDEX "JobWork_ready_idx" ON "JobWork"("name", "rank", "place") WHERE "place" IS NOT NULL AND "losses" < 2;
      CREATE INDEX "JobWork_suspect_idx" ON "JobWork"("name", "place") WHERE "place" IS NOT NULL AND "losses" >= 2;
      CREATE INDEX "JobWork_due_idx" ON "JobWork"("name", "dueAt", "id") WHERE "place" IS NULL;
      -- Work of a job with keys has a key, an empty one where its payload has none. Other work has no entry in these.
      CREATE INDEX "JobWork_keyed_idx" ON "JobWork"("name", "key", "rank", "place")
        WHERE "key" IS NOT NULL AND "place" IS NOT NULL AND "losses" < 2;
      CREATE INDEX "JobWork_name_key_id_idx" ON "JobWork"("name", "key", "id") WHERE "key" IS NOT NULL;

      CREATE TABLE "JobDeadLetter" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,${WORK_COLUMNS}
          "payload" JSONB,
          "failedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "errorCode" TEXT NOT NULL,
          "errorMessage" TEXT NOT NULL,

          CONSTRAINT "JobDeadLetter_pkey" PRIMARY KEY ("id")
      );

      CREATE INDEX "JobDeadLetter_failedAt_id_idx" ON "JobDeadLetter"("failedAt", "id");
      CREATE INDEX "JobDeadLetter_name_failedAt_id_idx" ON "JobDeadLetter"("name", "failedAt", "id");
      CREATE INDEX "JobDeadLetter_name_key_id_idx" ON "JobDeadLetter"("name", "key", "id") WHERE "key" IS NOT NULL;

      CREATE TABLE "JobPayload" (
          "id" UUID NOT NULL,
          "workId" UUID NOT NULL,
          "payload" JSONB NOT NULL,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobPayload_pkey" PRIMARY KEY ("id")
      );

      CREATE INDEX "JobPayload_createdAt_id_idx" ON "JobPayload"("createdAt", "id");

      CREATE TABLE "JobUnique" (
          "name" TEXT NOT NULL,
          "key" TEXT NOT NULL,
          "workId" UUID NOT NULL,

          CONSTRAINT "JobUnique_pkey" PRIMARY KEY ("name", "key")
      ) WITH (${BUSY});

      CREATE TABLE "JobCancel" (
          "runId" UUID NOT NULL,
          "name" TEXT NOT NULL,
          "requestedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "requestedBy" TEXT NOT NULL,
          "reason" TEXT,

          CONSTRAINT "JobCancel_pkey" PRIMARY KEY ("runId")
      );

      CREATE TABLE "JobClaim" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,
          "workerId" TEXT NOT NULL,
          -- The destination of the work after a loss: the queue, none ('hand'), or the dead letters ('deadLetter').
          "origin" TEXT NOT NULL DEFAULT 'queue',
          -- No two claims have the same: of an exclusive job one run is under way at a time.
          "exclusiveKey" TEXT,
          -- Whether nothing else runs in the worker's process: who is lost alone has itself to blame.
          "isAlone" BOOLEAN NOT NULL DEFAULT false,
          "startedAt" TIMESTAMPTZ(3) NOT NULL,
          -- A round of any worker ends what has not ended by then.
          "expiresAt" TIMESTAMPTZ(3) NOT NULL,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "runIds" UUID[] NOT NULL,
          -- Each of these is null where it would say the same of all: that the run has the id of its work, attempt 1, 0, or null.
          "workIds" UUID[],
          -- When the attempt was due, where that was not when its work was enqueued.
          "dueAts" TIMESTAMPTZ(3)[],${CARRIED.map(
            ({ list, type }) => `
          "${list}" ${type}[],`,
          ).join('')}
          "payloads" JSONB[],
          -- The limits under which its runs go on, and its place: for one limit places ascend in the order of commits. Null for
          -- jobs without limits.
          "limits" TEXT[],
          "place" BIGINT,

          CONSTRAINT "JobClaim_pkey" PRIMARY KEY ("id")
      ) WITH (${BUSY});
      -- Ids do not get shorter by compression. To try takes a tenth of a claim.
      ALTER TABLE "JobClaim" ALTER COLUMN "runIds" SET STORAGE EXTERNAL, ALTER COLUMN "workIds" SET STORAGE EXTERNAL;

      CREATE UNIQUE INDEX "JobClaim_exclusiveKey_key" ON "JobClaim"("exclusiveKey");
      CREATE INDEX "JobClaim_workerId_idx" ON "JobClaim"("workerId");
      CREATE INDEX "JobClaim_place_idx" ON "JobClaim"("place") WHERE "limits" IS NOT NULL;
${STEP_TABLE_SQL}
${SIGNAL_TABLE_SQL}
${CHILD_TABLE_SQL}`

/**
 * Fails a claim of an exclusive job whose queue was paused while the claim waited for another one. It is a function, since its
 * statements see what was committed meanwhile. The worker takes the error for that of another claim: it tries again, or waits.
 */
export const EXPECT_OPEN_SQL = `
      CREATE FUNCTION roundsman."JobExpectOpen"(text) RETURNS boolean LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM "JobQueue" paused WHERE paused."name" = $1) THEN
          RAISE unique_violation USING CONSTRAINT = 'JobClaim_exclusiveKey_key', MESSAGE = 'The queue was paused while the claim waited';
        END IF;
        RETURN true;
      END $$;`

/** All started runs, with a record or without: JobRun, and runs that only a claim lists. */
export const RUNS_VIEW_SQL = `
      CREATE VIEW "JobRunAll" AS
      SELECT run."id", run."name", run."status", run."trigger", run."attempt", run."scheduledFor", run."startedAt", run."endedAt",
             run."details", run."dryRun", run."actor", run."reason", run."workId", run."workerId", run."errorCode", run."progress",
             run."batchMarks", coalesce(run."cancelRequestedAt", (
               SELECT "requestedAt" FROM "JobCancel" WHERE run."status" = 'running' AND "runId" = run."id"
             )) AS "cancelRequestedAt", coalesce(run."cancelRequestedBy", (
               SELECT "requestedBy" FROM "JobCancel" WHERE run."status" = 'running' AND "runId" = run."id"
             )) AS "cancelRequestedBy", run."approvedAt", run."approvedBy", run."createdAt", run."label", run."shown", run."dueAt",
             run."logs", run."result", run."uniqueKey", run."parentId", run."enqueuedBy", run."traceId", run."key", run."payloadId"
      -- No join: PostgreSQL would read all runs to find the latest.
      FROM "JobRun" run
      UNION ALL
      SELECT held."id", claim."name", 'running'::"JobRunStatus", coalesce(held."facts" ->> 'trigger', 'queue')::"JobTrigger",
             coalesce(held."attempt", 1), (held."facts" ->> 'scheduledFor')::timestamptz(3), claim."startedAt", NULL::timestamptz(3),
             NULL::jsonb, coalesce((held."facts" ->> 'dryRun')::boolean, false), held."facts" ->> 'actor', held."facts" ->> 'reason',
             CASE WHEN claim."origin" <> 'hand' THEN coalesce(held."workId", held."id") END, claim."workerId", NULL::text, NULL::jsonb,
             NULL::jsonb, cancel."requestedAt", cancel."requestedBy", NULL::timestamptz(3), NULL::text, claim."createdAt",
             held."label", held."facts" -> 'shown', held."dueAt", NULL::jsonb, NULL::jsonb,
             held."uniqueKey", ${Object.values(originOf('held."facts"')).join(', ')}, nullif(held."key", ''), NULL::uuid
      FROM "JobClaim" claim
        CROSS JOIN unnest(claim."runIds", claim."workIds", claim."attempts", claim."labels", claim."dueAts", claim."facts", claim."uniqueKeys", claim."keys")
          AS held("id", "workId", "attempt", "label", "dueAt", "facts", "uniqueKey", "key")
        LEFT JOIN "JobCancel" cancel ON cancel."runId" = held."id"
      -- Each is looked up by its id: for a NOT EXISTS, PostgreSQL may read all runs.
      WHERE (SELECT true FROM "JobRun" run WHERE run."id" = held."id") IS NULL;`

export const WAITING_VIEW_SQL = `
      -- For people with psql. Later versions keep it.
      CREATE VIEW "JobWaiting" AS
      SELECT "id", "name" AS "job", "label", "dueAt" AS "due", "attempt", -"rank" AS "priority", "uniqueKey", "key" FROM "JobWork";`
