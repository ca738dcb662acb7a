-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

-- What a filter lets through may be rare among many millions, or not there at all: then nothing but an index that
-- begins with it knows where to stop. None of these holds runs that came from the queue and went well, of which most
-- tables consist, so that a worker at its fastest does not write them.
CREATE INDEX IF NOT EXISTS "JobRun_trigger_startedAt_id_idx" ON "JobRun"("trigger", "startedAt" DESC, "id" DESC) WHERE "trigger" IN ('schedule', 'manual', 'cli');
CREATE INDEX IF NOT EXISTS "JobRun_name_trigger_startedAt_id_idx" ON "JobRun"("name", "trigger", "startedAt" DESC, "id" DESC) WHERE "trigger" IN ('schedule', 'manual', 'cli');
CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_failed_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "status" = 'failed';
CREATE INDEX IF NOT EXISTS "JobRun_trigger_startedAt_id_failed_idx" ON "JobRun"("trigger", "startedAt" DESC, "id" DESC) WHERE "status" = 'failed';

-- The first of them finds what this one did.
DROP INDEX IF EXISTS "JobRun_startedAt_id_manual_idx";

-- Which of them is right for a name with a trigger is a question of how often both come together: most jobs are started
-- by one trigger only, and the planner would take them for independent of each other.
CREATE STATISTICS IF NOT EXISTS "JobRun_name_trigger_status_stat" (mcv) ON "name", "trigger", "status" FROM "JobRun";
