-- Tolerates that its object is there already: some hosts publish a schema diff of their own before the application,
-- and with it this migration, starts.

-- Whether nothing else runs in the worker's process while it holds this claim: who is lost alone has itself to blame.
ALTER TABLE "JobClaim" ADD COLUMN IF NOT EXISTS "isAlone" BOOLEAN NOT NULL DEFAULT false;
