-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

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
);
