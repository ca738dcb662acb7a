import { createHash } from 'node:crypto'
import { LIMIT_STATE_SQL, LIMIT_VIOLATION_SQL } from '../queue/limitSql.ts'
import { LOST_CHILDREN_VIEW_SQL } from '../queue/children.ts'
import { PLACE_SQL } from '../queue/place.ts'
import {
  EXPECT_OPEN_SQL,
  QUEUE_TABLES_SQL,
  RUNS_VIEW_SQL,
  WAITING_VIEW_SQL,
} from '../queue/queueTables.ts'

/*
 * Our tables, which `migrate` makes in an empty schema. Until 0.3 is published, change them here: that gives the baseline
 * another name, and databases of the baseline before are refused. From then on, each change is a step after the baseline.
 *
 * Write names as elsewhere: `"JobRun"`, and `roundsman."…"` for what is no table or type. uninstallSql removes what this
 * creates by `create table`, `sequence`, `view`, `function` and `type`.
 */

const ENUMS_SQL = `
      CREATE TYPE "JobRunStatus" AS ENUM ('running', 'success', 'failed', 'suspended');
      CREATE TYPE "JobTrigger" AS ENUM ('schedule', 'queue', 'manual', 'cli');
      CREATE TYPE "TickOutcome" AS ENUM ('enqueued', 'coalesced', 'missed', 'skipped');`

const RUNS_SQL = `
      CREATE TABLE "JobRun" (
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
          "workId" UUID,
          "workerId" TEXT NOT NULL,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "progress" JSONB,
          "cancelRequestedAt" TIMESTAMPTZ(3),
          "cancelRequestedBy" TEXT,
          "approvedAt" TIMESTAMPTZ(3),
          "approvedBy" TEXT,
          "batchMarks" JSONB,
          -- What failed is found by its code, which stays null in a run that succeeds.
          "errorCode" TEXT,
          -- What the run was about, as its job says it; when the attempt was due, where that was not when its work was
          -- enqueued; the last lines that it logged; and what it came to, for the program that waits for it.
          "label" TEXT,
          "shown" JSONB,
          "dueAt" TIMESTAMPTZ(3),
          "logs" JSONB,
          "result" JSONB,
          -- Where its work has come from, and the key of that; null where it has none. No index of keys: who looks for one goes
          -- through the job's latest runs.
          "uniqueKey" TEXT,
          "parentId" UUID,
          "enqueuedBy" TEXT,
          "traceId" TEXT,
          "key" TEXT,
          -- The payload of a blocked run that somebody may approve, in JobPayload.
          "payloadId" UUID,

          CONSTRAINT "JobRun_pkey" PRIMARY KEY ("id") WITH (fillfactor = 100),
          -- A run is running, or it has ended: never both, never neither.
          CONSTRAINT "JobRun_ended_check" CHECK (("status" = 'running') = ("endedAt" IS NULL)),
          CONSTRAINT "JobRun_failed_check" CHECK (("status" = 'failed') = ("errorCode" IS NOT NULL))
      );

      -- Ids and starts ascend: PostgreSQL leaves pages full that grow at their end. Lists read these two backwards.
      CREATE INDEX "JobRun_startedAt_id_asc_idx" ON "JobRun"("startedAt", "id") WITH (fillfactor = 100);
      -- With the trigger as its last key: what of a name a trigger never started is known without the table.
      CREATE INDEX "JobRun_name_desc_startedAt_id_trigger_idx" ON "JobRun"("name" DESC, "startedAt", "id", "trigger") WITH (fillfactor = 100);
      CREATE INDEX "JobRun_workId_idx" ON "JobRun"("workId") WITH (fillfactor = 100);

      -- What people narrow the list of runs to, where few of very many runs are like that. The runs that the queue
      -- delivers and that succeed, which are nearly all, have no entry in any of these and so cost nothing more.
      CREATE INDEX "JobRun_startedAt_id_manual_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" IN ('manual', 'cli');
      CREATE INDEX "JobRun_startedAt_id_schedule_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" = 'schedule';
      CREATE INDEX "JobRun_name_trigger_startedAt_id_idx" ON "JobRun"("name", "trigger", "startedAt" DESC, "id" DESC) WHERE "trigger" <> 'queue';
      CREATE INDEX "JobRun_startedAt_id_error_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
      CREATE INDEX "JobRun_name_startedAt_id_error_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
      CREATE INDEX "JobRun_trigger_startedAt_id_error_idx" ON "JobRun"("trigger", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
      -- With name and trigger as last keys: that a job never had a code is known without the table.
      CREATE INDEX "JobRun_errorCode_startedAt_id_idx" ON "JobRun"("errorCode", "startedAt" DESC, "id" DESC, "name", "trigger") WHERE "errorCode" IS NOT NULL;
      CREATE INDEX "JobRun_label_startedAt_id_idx" ON "JobRun"("label" text_pattern_ops, "startedAt" DESC, "id" DESC) WHERE "label" IS NOT NULL;
      -- Most runs have no parent, and no entry.
      CREATE INDEX "JobRun_parentId_workId_attempt_idx" ON "JobRun"("parentId", "workId", "attempt" DESC) WHERE "parentId" IS NOT NULL;

      -- A job has one trigger nearly always. The planner would take both for independent, expect many runs of a job by a
      -- trigger that it never has, and walk over all runs in search of them.
      CREATE STATISTICS roundsman."JobRun_name_errorCode_trigger_stat" (mcv) ON "name", "errorCode", "trigger" FROM "JobRun";`

const SCHEDULES_SQL = `
      -- All schedules: the one that a job's definition has, under the key '', and those that programs keep under keys of theirs. The row
      -- is the definition: a worker decides by it.
      CREATE TABLE "JobSchedule" (
          "name" TEXT NOT NULL,
          -- Pages and prefixes go by bytes.
          "key" TEXT COLLATE "C" NOT NULL DEFAULT '',
          -- 0: a program is about to complete the row.
          "version" INTEGER NOT NULL DEFAULT 0,
          "cron" TEXT NOT NULL,
          "timeZone" TEXT NOT NULL,
          "missed" TEXT NOT NULL DEFAULT 'once',
          "catchUpMs" BIGINT NOT NULL DEFAULT 86400000,
          "overlap" TEXT NOT NULL DEFAULT 'skip',
          "jitterMs" BIGINT NOT NULL DEFAULT 0,
          "startsAt" TIMESTAMPTZ(3),
          "endsAt" TIMESTAMPTZ(3),
          -- Null: it was undefined.
          "payload" JSONB,
          "bytes" INTEGER NOT NULL DEFAULT 0,
          -- How far the ledger reaches.
          "cursor" TIMESTAMPTZ(3) NOT NULL,
          -- The instant that the schedule names next, and when a worker decides it: later by the key's share of the jitter.
          "nextAt" TIMESTAMPTZ(3),
          "dueAt" TIMESTAMPTZ(3),
          "delayMs" BIGINT NOT NULL DEFAULT 0,
          -- The rules of time zones by which "nextAt" was computed.
          "tzdata" TEXT COLLATE "C" NOT NULL DEFAULT '',
          -- The last tick that was enqueued, and what of the work may not have ended. Of the key '' all work of the job counts.
          "lastAt" TIMESTAMPTZ(3),
          "openWork" UUID[] NOT NULL DEFAULT '{}',
          -- How many ticks in a row the job's schema has refused the payload.
          "refusals" INTEGER NOT NULL DEFAULT 0,
          "pausedAt" TIMESTAMPTZ(3),
          "pausedBy" TEXT,
          "pauseReason" TEXT,
          -- The job's definition has no schedule any more. The row keeps its pause.
          "retiredAt" TIMESTAMPTZ(3),
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          -- How many ticks it has on a day on which it has any.
          "perDay" INTEGER NOT NULL DEFAULT 1,
          -- By it due rows are found. Null where there is more than one tick a minute: such a row changes in no index, in which each tick
          -- would leave a dead entry under an old snapshot.
          "lookAt" TIMESTAMPTZ(3) GENERATED ALWAYS AS (CASE WHEN "perDay" <= 1440 THEN "dueAt" END) STORED,

          CONSTRAINT "JobSchedule_pkey" PRIMARY KEY ("name", "key")
      ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

      CREATE INDEX "JobSchedule_name_lookAt_idx" ON "JobSchedule"("name", "lookAt") WHERE "lookAt" IS NOT NULL;
      CREATE INDEX "JobSchedule_name_often_idx" ON "JobSchedule"("name") WHERE "perDay" > 1440;
      CREATE INDEX "JobSchedule_name_refused_idx" ON "JobSchedule"("name", "pausedAt") WHERE "refusals" >= 3;

      CREATE TABLE "JobTick" (
          "name" TEXT NOT NULL,
          "key" TEXT COLLATE "C" NOT NULL DEFAULT '',
          "scheduledFor" TIMESTAMPTZ(3) NOT NULL,
          "outcome" "TickOutcome" NOT NULL,
          "reason" TEXT,
          "workId" UUID,
          "count" INTEGER NOT NULL DEFAULT 1,
          "through" TIMESTAMPTZ(3),
          -- By which version of the schedule it was decided, and by which worker. Null: with a change.
          "version" INTEGER NOT NULL DEFAULT 1,
          "workerId" TEXT,
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobTick_pkey" PRIMARY KEY ("name", "key", "scheduledFor")
      );

      CREATE INDEX "JobTick_scheduledFor_idx" ON "JobTick"("scheduledFor");

      -- The highest version of all keyed schedules that were deleted: one that is made anew begins above it.
      CREATE SEQUENCE "JobKeyedVersion";`

const PEOPLE_SQL = `
      CREATE TABLE "JobAction" (
          "id" UUID NOT NULL DEFAULT gen_random_uuid(),
          "at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "action" TEXT NOT NULL,
          "name" TEXT NOT NULL,
          "runId" UUID,
          "workId" UUID,
          "actor" TEXT NOT NULL,
          "reason" TEXT,
          "scheduleKey" TEXT COLLATE "C",
          -- Of an act on many: the work, or for \`cancel\` the runs, that it was done to.
          "pieces" UUID[],

          CONSTRAINT "JobAction_pkey" PRIMARY KEY ("id")
      );
      -- In the row: PostgreSQL takes a table with few pages for quick to read, whatever is kept beside it.
      ALTER TABLE "JobAction" ALTER COLUMN "pieces" SET STORAGE MAIN;

      CREATE INDEX "JobAction_name_at_idx" ON "JobAction"("name", "at" DESC);
      CREATE INDEX "JobAction_runId_idx" ON "JobAction"("runId");
      CREATE INDEX "JobAction_workId_idx" ON "JobAction"("workId");
      -- Without a list of what is not sorted in yet, which each look would read.
      CREATE INDEX "JobAction_pieces_idx" ON "JobAction" USING gin ("pieces") WITH (fastupdate = off);
      -- By it what is older than it is kept is found. The table is small: people write into it.
      CREATE INDEX "JobAction_at_idx" ON "JobAction"("at");
      -- What was done to one of many schedules of a job.
      CREATE INDEX "JobAction_name_scheduleKey_at_idx" ON "JobAction"("name", "scheduleKey", "at" DESC)
        WHERE "scheduleKey" IS NOT NULL;

      -- The jobs whose work waits until somebody says otherwise. A row goes when its queue is resumed.
      CREATE TABLE "JobQueue" (
          "name" TEXT NOT NULL,
          "pausedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "pausedBy" TEXT NOT NULL,
          "pauseReason" TEXT,

          CONSTRAINT "JobQueue_pkey" PRIMARY KEY ("name")
      );`

const WORKERS_SQL = `
      CREATE TABLE "JobWorker" (
          "id" TEXT NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          "heartbeatAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
          -- What of its host's product it runs. Null: it does not say.
          "version" TEXT,
          -- How many runs of each job it takes at once, for who looks; what is not in it, it leaves to others.
          "lanes" JSONB,
          -- The jobs of which it knows the definitions, also those that it takes no work of. Of the workers that know a job one defines
          -- its schedule.
          "jobs" TEXT[] NOT NULL DEFAULT '{}',
          -- The limits that its code defines, by job. Null: not registered yet.
          "limits" JSONB,

          CONSTRAINT "JobWorker_pkey" PRIMARY KEY ("id")
      );

      -- What an ended worker ran of its host's product. Apart from JobWorker, which each round reads whole.
      CREATE TABLE "JobFormerWorker" (
          "id" TEXT NOT NULL,
          "version" TEXT NOT NULL,
          "startedAt" TIMESTAMPTZ(3) NOT NULL,
          "endedAt" TIMESTAMPTZ(3) NOT NULL,

          CONSTRAINT "JobFormerWorker_pkey" PRIMARY KEY ("id")
      );

      -- By it is found what is older than runs are kept.
      CREATE INDEX "JobFormerWorker_endedAt_idx" ON "JobFormerWorker"("endedAt");
      -- When a version first appeared.
      CREATE INDEX "JobFormerWorker_version_startedAt_idx" ON "JobFormerWorker"("version", "startedAt");

      CREATE TABLE "JobThrottle" (
          "name" TEXT NOT NULL,
          "freeAt" TIMESTAMPTZ(6) NOT NULL,

          CONSTRAINT "JobThrottle_pkey" PRIMARY KEY ("name")
      );`

const ALERTS_SQL = `
      -- What is or was wrong. Channels are told once it is raised, since most of what is wrong ends after a moment. At
      -- most one of a kind, name and code is open.
      CREATE TABLE "JobAlert" (
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

      CREATE UNIQUE INDEX "JobAlert_kind_name_code_open_key" ON "JobAlert"("kind", "name", "code") WHERE "endedAt" IS NULL;
      CREATE INDEX "JobAlert_endedAt_idx" ON "JobAlert"("endedAt");

      -- One notice of an alert's beginning or end to one channel. The watcher that counts an attempt sends it, and has
      -- until "dueAt": then another may. It ends once the channel has taken it, or it was given up.
      CREATE TABLE "JobAlertDelivery" (
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
      );`

const LIMITS_SQL = `
      -- How much may run at once, and start, over all workers. Claims lock the rows of their limits, then count what runs: no row
      -- says how much that is. Whoever changes a number here, or in "JobKey", first gives the row a new "changedPlace" in the same
      -- transaction: that waits for the claims that have counted by the old ones, and no later claim does.
      CREATE TABLE "JobLimit" (
          -- \`job:\` and the name of a job, for its own limits; or the name of a limit that several jobs share.
          "name" TEXT NOT NULL,
          -- Runs at once, in all and of one key. Null: as many as there is work.
          "global" INTEGER,
          "perKey" INTEGER,
          -- In which order keys get their turn: \`fair\` or \`fifo\`. Null: the job has no keys.
          "order" TEXT,
          -- At most so many starts in so long, by the job or by each of its keys (\`job\`, \`key\`).
          "rateLimit" INTEGER,
          "ratePerMs" BIGINT,
          "rateBy" TEXT,
          -- The jobs that share it. Null: it is a job's own.
          "jobs" TEXT[],
          -- What people have set instead of "global", and why.
          "setGlobal" INTEGER,
          "setBy" TEXT,
          "setReason" TEXT,
          "setAt" TIMESTAMPTZ(3),
          -- Nothing under it starts before then, since a service has refused more.
          "parkedUntil" TIMESTAMPTZ(3),
          "parkedAt" TIMESTAMPTZ(3),
          "parkReason" TEXT,
          -- Claims with a greater place were made by these numbers.
          "changedPlace" BIGINT NOT NULL DEFAULT ${PLACE_SQL},
          "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

          CONSTRAINT "JobLimit_pkey" PRIMARY KEY ("name")
      );

      -- What people have set for one key of a job, when its rate is free, and until when a service has refused more. A round
      -- deletes a row without any of these. The key of work without one is empty.
      CREATE TABLE "JobKey" (
          "name" TEXT NOT NULL,
          "key" TEXT NOT NULL,
          "perKey" INTEGER,
          -- \`infinity\`: until somebody resumes it.
          "pausedUntil" TIMESTAMPTZ(3),
          "pausedBy" TEXT,
          "reason" TEXT,
          "setBy" TEXT,
          "setAt" TIMESTAMPTZ(3),
          -- Since when it is paused, and why: "reason" and "setAt" are of the last change of any kind.
          "pausedAt" TIMESTAMPTZ(3),
          "pauseReason" TEXT,
          -- As in "JobThrottle", for a rate by key.
          "freeAt" TIMESTAMPTZ(6),
          "parkedUntil" TIMESTAMPTZ(3),
          "parkedAt" TIMESTAMPTZ(3),
          "parkReason" TEXT,

          CONSTRAINT "JobKey_pkey" PRIMARY KEY ("name", "key")
      ) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

      -- Which keys are paused or parked, of very many that have a rate alone.
      CREATE INDEX "JobKey_stopped_idx" ON "JobKey"("name", "key") WHERE "pausedUntil" IS NOT NULL OR "parkedUntil" IS NOT NULL;
      CREATE INDEX "JobKey_unset_idx" ON "JobKey"(greatest("freeAt", "parkedUntil")) WHERE "perKey" IS NULL AND "pausedUntil" IS NULL;`

const HISTORY_SQL = `
      -- What the tables are: their baseline, and later the steps after it. "breaks": older processes must not use the tables.
      CREATE TABLE "JobMigration" (
          "name" TEXT NOT NULL,
          "breaks" BOOLEAN NOT NULL,
          "appliedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),

          CONSTRAINT "JobMigration_pkey" PRIMARY KEY ("name")
      );`

export const BASELINE_SQL = [
  ENUMS_SQL,
  RUNS_SQL,
  SCHEDULES_SQL,
  PEOPLE_SQL,
  WORKERS_SQL,
  ALERTS_SQL,
  QUEUE_TABLES_SQL,
  LIMITS_SQL,
  RUNS_VIEW_SQL,
  WAITING_VIEW_SQL,
  LOST_CHILDREN_VIEW_SQL,
  EXPECT_OPEN_SQL,
  LIMIT_STATE_SQL,
  LIMIT_VIOLATION_SQL,
  HISTORY_SQL,
].join('\n')

/** The name of these tables, of their SQL without comments and white space. */
export const BASELINE = `0.3-${createHash('sha256')
  .update(BASELINE_SQL.replaceAll(/--.*|\s/g, ''))
  .digest('hex')
  .slice(0, 8)}`
