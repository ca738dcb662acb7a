-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

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

-- What Prisma's schema language cannot say.

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
CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_manual_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" IN ('manual', 'cli');
