-- Every statement tolerates that its object is there already. This table is as an earlier migration made it: repeated
-- here so that the migrations with `_job` in their names, and no others, are all that another product has to take.

CREATE TABLE IF NOT EXISTS "JobThrottle" (
    "name" TEXT NOT NULL,
    "freeAt" TIMESTAMPTZ(6) NOT NULL,

    CONSTRAINT "JobThrottle_pkey" PRIMARY KEY ("name")
);
