-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

-- What people narrow the list of runs to, where few of very many runs are like that. The runs that the queue
-- delivers and that succeed, which are nearly all, have no entry in any of these and so cost nothing more.
CREATE INDEX IF NOT EXISTS "JobRun_name_startedAt_id_failed_idx" ON "JobRun"("name", "startedAt" DESC, "id" DESC) WHERE "status" = 'failed';
CREATE INDEX IF NOT EXISTS "JobRun_startedAt_id_schedule_idx" ON "JobRun"("startedAt" DESC, "id" DESC) WHERE "trigger" = 'schedule';
CREATE INDEX IF NOT EXISTS "JobRun_name_trigger_startedAt_id_idx" ON "JobRun"("name", "trigger", "startedAt" DESC, "id" DESC) WHERE "trigger" <> 'queue';

-- A job has one trigger nearly always. The planner would take both for independent, expect many runs of a job by a
-- trigger that it never has, and walk over all runs in search of them.
CREATE STATISTICS IF NOT EXISTS "JobRun_name_status_trigger_stat" (mcv) ON "name", "status", "trigger" FROM "JobRun";
