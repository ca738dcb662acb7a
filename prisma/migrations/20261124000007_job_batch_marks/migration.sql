-- Tolerates that the column is there already: some hosts publish a schema diff of their own before the
-- application, and with it this migration, starts.
ALTER TABLE "JobRun" ADD COLUMN IF NOT EXISTS "batchMarks" JSONB;
