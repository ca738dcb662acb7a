-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "progress" JSONB;
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "cancelRequestedAt" TIMESTAMPTZ(3);
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "cancelRequestedBy" TEXT;
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "approvedAt" TIMESTAMPTZ(3);
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "approvedBy" TEXT;

CREATE INDEX IF NOT EXISTS "JobTick_scheduledFor_idx" ON "JobTick"("scheduledFor");
