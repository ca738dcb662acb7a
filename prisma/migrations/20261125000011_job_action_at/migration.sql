-- By it what is older than it is kept is found. The table is small: people write into it.
CREATE INDEX IF NOT EXISTS "JobAction_at_idx" ON "JobAction"("at");
