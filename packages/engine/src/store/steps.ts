/*
 * Our tables, step by step. `migrate` does the steps that a database lacks, in this order, and lists each in
 * `JobMigration`.
 *
 * To add a step, add an entry at the end of STEPS. Write names as elsewhere: `"JobRun"`, and `roundsman."…"` to drop an
 * index, or to create or drop a statistics object. Never change an entry that was published: databases that have it would
 * differ.
 *
 *   sql       What `migrate` runs in one transaction with the note, while workers of the version before go on. uninstallSql
 *             removes what it creates by `create table`, `view`, `function` and `type`.
 *   index     In place of `sql`: one index of a table that may be large, built concurrently and outside of a transaction. Then
 *             the one that it `replaces` is dropped in the same manner.
 *   breaks    Whether workers of the version before would fail or do wrong beside it. They then refuse to start. True for what
 *             removes something or demands what the version before does not write: expand first, contract a version later.
 *   isThere   For the first nine steps only, which were Prisma's migrations: SQL that is true when such a migration has run.
 *             `migrate` then notes the step without doing it. It asks for something that only the migration's last statement
 *             leaves, or that a schema diff of a host's would not make.
 */

import { labelOf, shownOf } from './envelopeSql.ts'
import { WRITE_OUT_ALL_LABELLED_SQL, WRITE_OUT_ALL_SQL } from './starts.ts'

export interface Step {
  readonly name: string
  readonly breaks: boolean
  readonly isThere?: string
  readonly sql?: string
  readonly index?: {
    readonly name: string
    readonly on: string
    readonly isUnique?: boolean
    readonly replaces?: string
  }
}

const hasTable = (table: string) => `to_regclass('"${table}"') is not null`
const hasIndex = (index: string) => `to_regclass('roundsman."${index}"') is not null`
const hasColumn = (table: string, column: string) => `exists (
  select from pg_attribute where attrelid = to_regclass('"${table}"') and attname = '${column}' and not attisdropped)`
const hasConstraint = (constraint: string) => `exists (
  select from pg_constraint where conrelid = to_regclass('"JobRun"') and conname = '${constraint}')`
const IS_PARTLY_FILLED = `exists (
  select from pg_class where oid = to_regclass('"JobRun"') and reloptions::text like '%fillfactor=%')`

export const STEPS: readonly Step[] = [
  {
    name: 'jobs',
    breaks: false,
    isThere: hasConstraint('JobRun_ended_check'),
    sql: `
      DO $$ BEGIN
        CREATE TYPE "JobRunStatus" AS ENUM ('running', 'success', 'failed');
      EXCEPTION WHEN duplicate_object THEN NULL; END $$;

      DO $$ BEGIN
        CREATE TYPE "JobTrigger" AS ENUM ('schedule', 'queue', 'manual', 'cli');
      EXCEPTION WHEN duplicate_object THEN NULL; END $$;

      DO $$ BEGIN
        CREATE TYPE "TickOutcome" AS ENUM ('enqueued', 'coalesced', 'missed', 'skipped');
      EXCEPTION WHEN duplicate_object THEN NULL; END $$;

      CREATE TABLE IF NOT EXISTS "JobRun" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,
          "status" "JobRunStatus" NOT NULL DEFAULT 'running',
          "trigger" "JobTrigger" NOT NULL,
          "attempt" INTEGER NOT NULL DEFAULT 1,
          "scheduledFor" TIMESTAMPTZ(3),
          "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "endedAt" TIMESTAMPTZ(3),
          "details" JSONB,
          "dryRun" BOOLEAN NOT NULL DEFAULT false,
          "actor" TEXT,
          "reason" TEXT,
          "queueJobId" UUID,
          "workerId" TEXT NOT NULL,
          "exclusiveKey" TEXT,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobRun_pkey" PRIMARY KEY ("id")
      );

      CREATE TABLE IF NOT EXISTS "JobTick" (
          "name" TEXT NOT NULL,
          "scheduledFor" TIMESTAMPTZ(3) NOT NULL,
          "outcome" "TickOutcome" NOT NULL,
          "reason" TEXT,
          "queueJobId" UUID,
          "count" INTEGER NOT NULL DEFAULT 1,
          "through" TIMESTAMPTZ(3),
          "workerId" TEXT NOT NULL,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobTick_pkey" PRIMARY KEY ("name","scheduledFor")
      );

      CREATE TABLE IF NOT EXISTS "JobSchedule" (
          "name" TEXT NOT NULL,
          "cron" TEXT NOT NULL,
          "timeZone" TEXT NOT NULL,
          "cursor" TIMESTAMPTZ(3) NOT NULL,
          "pausedAt" TIMESTAMPTZ(3),
          "pausedBy" TEXT,
          "pauseReason" TEXT,
          "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobSchedule_pkey" PRIMARY KEY ("name")
      );

      CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_idx" ON "JobRun"("startedAt" DESC, "id" DESC);

      CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC);

      CREATE INDEX IF NOT EXISTS "JobRun_queueJobId_idx" ON "JobRun"("queueJobId");

      -- A run is running, or it has ended: never both, never neither.
      ALTER TABLE "JobRun" DROP CONSTRAINT IF EXISTS "JobRun_ended_check";
      ALTER TABLE "JobRun" ADD CONSTRAINT "JobRun_ended_check" CHECK (("status" = 'running') = ("endedAt" IS NULL));

      -- At most one run of an exclusive job is under way, in whichever process.
      CREATE UNIQUE INDEX IF NOT EXISTS "JobRun_exclusiveKey_running_key" ON "JobRun"("exclusiveKey") WHERE "status" = 'running';

      -- The rescue looks for running runs whose worker is gone; there are few, whatever the table's size.
      CREATE INDEX IF NOT EXISTS "JobRun_workerId_running_idx" ON "JobRun"("workerId") WHERE "status" = 'running';

      -- The runs that a person looks for.
      CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_failed_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "status" = 'failed';

      -- Runs that a person started are few among those that a schedule did.
      CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_manual_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" IN ('manual', 'cli');`,
  },
  {
    name: 'control',
    breaks: false,
    isThere: `${hasTable('JobWorker')} and ${hasColumn('JobRun', 'approvedBy')}`,
    sql: `
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "progress" JSONB;
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "cancelRequestedAt" TIMESTAMPTZ(3);
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "cancelRequestedBy" TEXT;
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "approvedAt" TIMESTAMPTZ(3);
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "approvedBy" TEXT;

      CREATE INDEX IF NOT EXISTS "JobTick_scheduledFor_idx" ON "JobTick"("scheduledFor");

      DO $$ BEGIN
        CREATE TYPE "WorkerLiveness" AS ENUM ('lock', 'heartbeat');
      EXCEPTION WHEN duplicate_object THEN NULL; END $$;

      CREATE TABLE IF NOT EXISTS "JobWorker" (
          "id" TEXT NOT NULL,
          "liveness" "WorkerLiveness" NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "heartbeatAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobWorker_pkey" PRIMARY KEY ("id")
      );`,
  },
  {
    name: 'actions',
    breaks: false,
    isThere: hasTable('JobAction'),
    sql: `
      CREATE TABLE IF NOT EXISTS "JobAction" (
          "id" UUID NOT NULL DEFAULT gen_random_uuid(),
          "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "action" TEXT NOT NULL,
          "name" TEXT NOT NULL,
          "runId" UUID,
          "queueJobId" UUID,
          "actor" TEXT NOT NULL,
          "reason" TEXT,

          CONSTRAINT "JobAction_pkey" PRIMARY KEY ("id")
      );

      CREATE INDEX IF NOT EXISTS "JobAction_name_at_idx" ON "JobAction"("name", "at" DESC);
      CREATE INDEX IF NOT EXISTS "JobAction_runId_idx" ON "JobAction"("runId");
      CREATE INDEX IF NOT EXISTS "JobAction_queueJobId_idx" ON "JobAction"("queueJobId");`,
  },
  {
    name: 'throttle',
    breaks: false,
    isThere: hasTable('JobThrottle'),
    sql: `
      CREATE TABLE IF NOT EXISTS "JobThrottle" (
          "name" TEXT NOT NULL,
          "freeAt" TIMESTAMPTZ(6) NOT NULL,

          CONSTRAINT "JobThrottle_pkey" PRIMARY KEY ("name")
      );`,
  },
  {
    name: 'batchMarks',
    breaks: false,
    isThere: hasColumn('JobRun', 'batchMarks'),
    sql: `
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "batchMarks" JSONB;`,
  },
  {
    name: 'runFilters',
    breaks: false,
    isThere: hasIndex('JobRun_name_trigger_startedAt_id_idx'),
    sql: `
      -- What people narrow the list of runs to, where few of very many runs are like that. The runs that the queue
      -- delivers and that succeed, which are nearly all, have no entry in any of these and so cost nothing more.
      CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_failed_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "status" = 'failed';
      CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_schedule_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" = 'schedule';
      CREATE INDEX IF NOT EXISTS "JobRun_name_trigger_startedAt_id_idx" ON "JobRun"("name", "trigger", "startedAt" DESC, "id" DESC) WHERE "trigger" <> 'queue';

      -- A job has one trigger nearly always. The planner would take both for independent, expect many runs of a job by a
      -- trigger that it never has, and walk over all runs in search of them.
      CREATE STATISTICS IF NOT EXISTS roundsman."JobRun_name_status_trigger_stat" (mcv) ON "name", "status", "trigger" FROM "JobRun";`,
  },
  {
    name: 'claims',
    breaks: true,
    isThere: IS_PARTLY_FILLED,
    sql: `
      -- What a worker holds. It takes the place of JobRun's indexes of what is running: a run that ends changes no
      -- indexed column any more, so that PostgreSQL writes its new version beside the old one and leaves the indexes
      -- alone (HOT).
      CREATE TABLE IF NOT EXISTS "JobClaim" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,
          "workerId" TEXT NOT NULL,
          "exclusiveKey" TEXT,
          "runIds" UUID[],
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobClaim_pkey" PRIMARY KEY ("id")
      );

      CREATE UNIQUE INDEX IF NOT EXISTS "JobClaim_exclusiveKey_key" ON "JobClaim"("exclusiveKey");

      -- Of runs that are under way at this moment, or whose worker has died.
      INSERT INTO "JobClaim" ("id", "name", "workerId", "exclusiveKey", "runIds")
      SELECT "id", "name", "workerId", "exclusiveKey", ARRAY["id"] FROM "JobRun" WHERE "status" = 'running'
      ON CONFLICT DO NOTHING;

      -- The column stays, empty in new runs: earlier migrations name it.
      DROP INDEX IF EXISTS roundsman."JobRun_exclusiveKey_running_key";
      DROP INDEX IF EXISTS roundsman."JobRun_workerId_running_idx";

      -- What failed is found by its code, which stays null in a run that succeeds.
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "errorCode" TEXT;
      UPDATE "JobRun" SET "errorCode" = coalesce("details" #>> '{error,code}', 'unknown')
      WHERE "status" = 'failed' AND "errorCode" IS NULL;
      ALTER TABLE "JobRun" DROP CONSTRAINT IF EXISTS "JobRun_failed_check";
      ALTER TABLE "JobRun" ADD CONSTRAINT "JobRun_failed_check" CHECK (("status" = 'failed') = ("errorCode" IS NOT NULL));

      DROP INDEX IF EXISTS roundsman."JobRun_startedAt_id_failed_idx";
      CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_error_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
      DROP INDEX IF EXISTS roundsman."JobRun_name_startedAt_id_failed_idx";
      CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_error_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
      CREATE INDEX IF NOT EXISTS "JobRun_trigger_startedAt_id_error_idx" ON "JobRun"("trigger", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;

      -- With the trigger as its last key: what of a name a trigger never started is known without the table.
      CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_trigger_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC, "trigger");
      DROP INDEX IF EXISTS roundsman."JobRun_name_startedAt_id_idx";

      DROP STATISTICS IF EXISTS roundsman."JobRun_name_status_trigger_stat";
      CREATE STATISTICS IF NOT EXISTS roundsman."JobRun_name_errorCode_trigger_stat" (mcv) ON "name", "errorCode", "trigger" FROM "JobRun";

      -- Room on each page for the version of its rows that their end writes.
      ALTER TABLE "JobRun" SET (fillfactor = 50);`,
  },
  {
    name: 'contained',
    breaks: false,
    isThere: hasColumn('JobClaim', 'isAlone'),
    sql: `
      -- Whether nothing else runs in the worker's process while it holds this claim: who is lost alone has itself to blame.
      ALTER TABLE "JobClaim" ADD COLUMN IF NOT EXISTS "isAlone" BOOLEAN NOT NULL DEFAULT false;`,
  },
  {
    name: 'actionAt',
    breaks: false,
    isThere: hasIndex('JobAction_at_idx'),
    sql: `
      -- By it what is older than it is kept is found. The table is small: people write into it.
      CREATE INDEX IF NOT EXISTS "JobAction_at_idx" ON "JobAction"("at");`,
  },
  {
    name: 'starts',
    breaks: false,
    sql: `
      -- Work that a worker has taken, and whose runs have nothing to say yet: it is in the queue no more, and its runs are
      -- written when they end. Whatever else happens to one of them first writes it into JobRun, JobClaim and the queue.
      CREATE TABLE IF NOT EXISTS "JobStart" (
          "id" UUID NOT NULL,
          "name" TEXT NOT NULL,
          "workerId" TEXT NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL,
          "expireSeconds" INTEGER,
          "retryLimit" INTEGER NOT NULL,
          "runIds" UUID[],
          "envelopes" JSONB[],
          "enqueuedAt" TIMESTAMPTZ(6)[],
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobStart_pkey" PRIMARY KEY ("id")
      );

      -- Whether the worker reads JobStart. While one lives that does not, runs are written as they start.
      ALTER TABLE "JobWorker" ADD COLUMN IF NOT EXISTS "readsStarts" BOOLEAN NOT NULL DEFAULT false;

      -- What has started, written or not: JobRun with those that have nothing to say yet.
      CREATE OR REPLACE VIEW "JobRunAll" AS
      SELECT "id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt", "details", "dryRun", "actor",
             "reason", "queueJobId", "workerId", "errorCode", "progress", "batchMarks", "cancelRequestedAt",
             "cancelRequestedBy", "approvedAt", "approvedBy", "createdAt"
      FROM "JobRun"
      UNION ALL
      SELECT held."id", start."name", 'running'::"JobRunStatus", 'queue'::"JobTrigger", 1, NULL::timestamptz(3),
             start."startedAt", NULL::timestamptz(3), NULL::jsonb, false, NULL::text,
             NULL::text, held."id", start."workerId", NULL::text, NULL::jsonb, NULL::jsonb, NULL::timestamptz(3),
             NULL::text, NULL::timestamptz(3), NULL::text, start."createdAt"
      FROM "JobStart" start CROSS JOIN unnest(start."runIds") AS held("id")
      -- Each is looked up by its id: for a NOT EXISTS, PostgreSQL may read all runs.
      WHERE (SELECT true FROM "JobRun" run WHERE run."id" = held."id") IS NULL;

      -- Most runs are written once: less room is needed for the versions that the end of the others writes.
      ALTER TABLE "JobRun" SET (fillfactor = 85);`,
  },
  {
    name: 'olderWorkers',
    breaks: false,
    sql: `
      -- A worker of a version before signs up, which neither reads JobStart nor rescues what is there: all that has been
      -- started is written out, and while its row is there, claims start nothing. Claims that are under way are waited for.
      CREATE OR REPLACE FUNCTION roundsman."writeOutStarts"() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          LOCK TABLE "JobStart" IN SHARE ROW EXCLUSIVE MODE;
          ${WRITE_OUT_ALL_SQL};
          RETURN NULL;
        END
      $$;

      CREATE OR REPLACE TRIGGER "JobWorker_readsStarts" AFTER INSERT ON "JobWorker"
        FOR EACH ROW WHEN (NOT NEW."readsStarts") EXECUTE FUNCTION roundsman."writeOutStarts"();`,
  },
  {
    name: 'workerVersion',
    breaks: false,
    sql: `
      -- What of its host's product a worker runs. Null: it does not say, or is of a version before.
      ALTER TABLE "JobWorker" ADD COLUMN IF NOT EXISTS "version" TEXT;`,
  },
  {
    name: 'alerts',
    breaks: false,
    sql: `
      -- What is or was wrong. Nobody is told of it before it is raised, since most of what is wrong for a moment is not for
      -- long. At most one that has not ended is about the same.
      CREATE TABLE IF NOT EXISTS "JobAlert" (
          "id" UUID NOT NULL,
          "kind" TEXT NOT NULL,
          "name" TEXT NOT NULL,
          "code" TEXT NOT NULL,
          "facts" JSONB NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "seenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "raisedAt" TIMESTAMPTZ(3),
          "endedAt" TIMESTAMPTZ(3),

          CONSTRAINT "JobAlert_pkey" PRIMARY KEY ("id")
      );

      CREATE UNIQUE INDEX IF NOT EXISTS "JobAlert_kind_name_code_open_key" ON "JobAlert"("kind", "name", "code") WHERE "endedAt" IS NULL;
      CREATE INDEX IF NOT EXISTS "JobAlert_endedAt_idx" ON "JobAlert"("endedAt");

      -- One telling of an alert's beginning or end on one channel, until it has been taken or given up. Whoever counts an
      -- attempt makes it; \`dueAt\` is when it is due, or else taken for lost.
      CREATE TABLE IF NOT EXISTS "JobAlertDelivery" (
          "alertId" UUID NOT NULL,
          "event" TEXT NOT NULL,
          "channel" TEXT NOT NULL,
          "attempts" INTEGER NOT NULL DEFAULT 1,
          "dueAt" TIMESTAMPTZ(3) NOT NULL,
          "endedAt" TIMESTAMPTZ(3),
          "isTaken" BOOLEAN NOT NULL DEFAULT false,
          "error" TEXT,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobAlertDelivery_pkey" PRIMARY KEY ("alertId", "event", "channel")
      );`,
  },
  {
    name: 'queues',
    breaks: false,
    sql: `
      -- The jobs whose work waits until somebody says otherwise. A row goes when its queue is resumed.
      CREATE TABLE IF NOT EXISTS "JobQueue" (
          "name" TEXT NOT NULL,
          "pausedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "pausedBy" TEXT NOT NULL,
          "pauseReason" TEXT,

          CONSTRAINT "JobQueue_pkey" PRIMARY KEY ("name")
      );`,
  },
  {
    name: 'labels',
    breaks: false,
    sql: `
      -- What a run was about, as its job says it; when the attempt was due, where that was not when its work was enqueued;
      -- the last lines that it logged; and what it came to, for the program that waits for it.
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "label" TEXT;
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "shown" JSONB;
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "dueAt" TIMESTAMPTZ(3);
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "logs" JSONB;
      ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "result" JSONB;

      -- New columns stand at the end of a view that is replaced.
      CREATE OR REPLACE VIEW "JobRunAll" AS
      SELECT "id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt", "details", "dryRun", "actor",
             "reason", "queueJobId", "workerId", "errorCode", "progress", "batchMarks", "cancelRequestedAt",
             "cancelRequestedBy", "approvedAt", "approvedBy", "createdAt", "label", "shown", "dueAt", "logs", "result"
      FROM "JobRun"
      UNION ALL
      SELECT held."id", start."name", 'running'::"JobRunStatus", 'queue'::"JobTrigger", 1, NULL::timestamptz(3),
             start."startedAt", NULL::timestamptz(3), NULL::jsonb, false, NULL::text,
             NULL::text, held."id", start."workerId", NULL::text, NULL::jsonb, NULL::jsonb, NULL::timestamptz(3),
             NULL::text, NULL::timestamptz(3), NULL::text, start."createdAt", ${labelOf('held."envelope"')},
             ${shownOf('held."envelope"')}, NULL::timestamptz(3), NULL::jsonb, NULL::jsonb
      FROM "JobStart" start CROSS JOIN unnest(start."runIds", start."envelopes") AS held("id", "envelope")
      -- Each is looked up by its id: for a NOT EXISTS, PostgreSQL may read all runs.
      WHERE (SELECT true FROM "JobRun" run WHERE run."id" = held."id") IS NULL;

      CREATE OR REPLACE FUNCTION roundsman."writeOutStarts"() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          LOCK TABLE "JobStart" IN SHARE ROW EXCLUSIVE MODE;
          ${WRITE_OUT_ALL_LABELLED_SQL};
          RETURN NULL;
        END
      $$;`,
  },
  {
    name: 'labelIndex',
    breaks: false,
    // Runs without a label have no entry: for most hosts, nearly all.
    index: {
      name: 'JobRun_label_startedAt_id_idx',
      on: '"JobRun" ("label" text_pattern_ops, "startedAt" DESC, "id" DESC) WHERE "label" IS NOT NULL',
    },
  },
  {
    name: 'workerLanes',
    breaks: false,
    sql: `
      -- How many runs of each job a worker takes at once, for who looks; what is not in it, it leaves to others. It says so
      -- when it signs up. Null: it is of a version before, which also takes work of queues that are paused.
      ALTER TABLE "JobWorker" ADD COLUMN IF NOT EXISTS "lanes" JSONB;`,
  },
  {
    name: 'errorCodes',
    breaks: false,
    // Finds runs by error code. `name` and `trigger` as last keys: PostgreSQL sees without reading the table that a job
    // never had a code. Runs that succeed have no entry.
    index: {
      name: 'JobRun_errorCode_startedAt_id_idx',
      on: `"JobRun"("errorCode", "startedAt" DESC, "id" DESC, "name", "trigger") WHERE "errorCode" IS NOT NULL`,
    },
  },
  {
    name: 'latestRunsLast',
    breaks: false,
    // Ascending, because PostgreSQL leaves pages full that grow at their end. Lists run the same, as they are read backwards.
    index: {
      name: 'JobRun_startedAt_id_asc_idx',
      on: '"JobRun"("startedAt", "id")',
      replaces: 'JobRun_startedAt_id_idx',
    },
  },
  {
    name: 'latestRunsOfJobLast',
    breaks: false,
    // Read backwards it lists names upwards and times downwards, as this version and the one before ask.
    index: {
      name: 'JobRun_name_desc_startedAt_id_trigger_idx',
      on: '"JobRun"("name" DESC, "startedAt", "id", "trigger")',
      replaces: 'JobRun_name_startedAt_id_trigger_idx',
    },
  },
  {
    name: 'fullPages',
    breaks: false,
    // The ids of runs and of their work are ordered by time, as the other two indexes are, so all four grow at their end.
    sql: `
      -- Nearly all runs are written once, and what a second version takes, the first one soon gives back.
      ALTER TABLE "JobRun" SET (fillfactor = 100);
      ALTER INDEX roundsman."JobRun_pkey" SET (fillfactor = 100);
      ALTER INDEX roundsman."JobRun_queueJobId_idx" SET (fillfactor = 100);
      ALTER INDEX roundsman."JobRun_startedAt_id_asc_idx" SET (fillfactor = 100);
      ALTER INDEX roundsman."JobRun_name_desc_startedAt_id_trigger_idx" SET (fillfactor = 100);`,
  },
  {
    name: 'workerSchedules',
    breaks: false,
    sql: `
      -- Which schedules a worker would decide, by job: expression and zone. It says so when it starts. A row of JobSchedule
      -- that no living worker defines is taken over by one that defines the job otherwise.
      ALTER TABLE "JobWorker" ADD COLUMN IF NOT EXISTS "schedules" JSONB;`,
  },
]
