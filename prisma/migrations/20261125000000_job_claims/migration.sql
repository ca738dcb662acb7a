-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

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
DROP INDEX IF EXISTS "JobRun_exclusiveKey_running_key";
DROP INDEX IF EXISTS "JobRun_workerId_running_idx";

-- What failed is found by its code, which stays null in a run that succeeds.
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "errorCode" TEXT;
UPDATE "JobRun" SET "errorCode" = coalesce("details" #>> '{error,code}', 'unknown')
WHERE "status" = 'failed' AND "errorCode" IS NULL;
ALTER TABLE "JobRun" DROP CONSTRAINT IF EXISTS "JobRun_failed_check";
ALTER TABLE "JobRun" ADD CONSTRAINT "JobRun_failed_check" CHECK (("status" = 'failed') = ("errorCode" IS NOT NULL));

DROP INDEX IF EXISTS "JobRun_startedAt_id_failed_idx";
CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_error_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
DROP INDEX IF EXISTS "JobRun_name_startedAt_id_failed_idx";
CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_error_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;
CREATE INDEX IF NOT EXISTS "JobRun_trigger_startedAt_id_error_idx" ON "JobRun"("trigger", "startedAt" DESC, "id" DESC) WHERE "errorCode" IS NOT NULL;

-- With the trigger as its last key: what of a name a trigger never started is known without the table.
CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_trigger_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC, "trigger");
DROP INDEX IF EXISTS "JobRun_name_startedAt_id_idx";

DROP STATISTICS IF EXISTS "JobRun_name_status_trigger_stat";
CREATE STATISTICS IF NOT EXISTS "JobRun_name_errorCode_trigger_stat" (mcv) ON "name", "errorCode", "trigger" FROM "JobRun";

-- Room on each page for the version of its rows that their end writes.
ALTER TABLE "JobRun" SET (fillfactor = 50);
