-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

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
CREATE INDEX IF NOT EXISTS "JobAction_queueJobId_idx" ON "JobAction"("queueJobId");
