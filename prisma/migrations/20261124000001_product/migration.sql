-- Every statement tolerates that its object is there already: some hosts publish a schema diff of their
-- own before the application, and with it this migration, starts.

DO $$ BEGIN
  CREATE TYPE "PreviewSessionStatus" AS ENUM ('active', 'expired');
EXCEPTION WHEN duplicate_object THEN NULL; END $$;

DO $$ BEGIN
  CREATE TYPE "Role" AS ENUM ('owner', 'admin', 'staff');
EXCEPTION WHEN duplicate_object THEN NULL; END $$;

CREATE TABLE IF NOT EXISTS "I18nCacheEntry" (
    "id" UUID NOT NULL,
    "locale" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "value" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "I18nCacheEntry_pkey" PRIMARY KEY ("id")
);

CREATE TABLE IF NOT EXISTS "PreviewSession" (
    "id" UUID NOT NULL,
    "tokenHash" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "status" "PreviewSessionStatus" NOT NULL DEFAULT 'active',
    "revoked" BOOLEAN NOT NULL DEFAULT false,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "PreviewSession_pkey" PRIMARY KEY ("id")
);

CREATE TABLE IF NOT EXISTS "User" (
    "id" UUID NOT NULL,
    "email" TEXT NOT NULL,
    "passwordHash" TEXT NOT NULL,
    "role" "Role" NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "User_pkey" PRIMARY KEY ("id")
);

CREATE INDEX IF NOT EXISTS "I18nCacheEntry_createdAt_idx" ON "I18nCacheEntry"("createdAt");

CREATE UNIQUE INDEX IF NOT EXISTS "I18nCacheEntry_locale_key_key" ON "I18nCacheEntry"("locale", "key");

CREATE UNIQUE INDEX IF NOT EXISTS "PreviewSession_tokenHash_key" ON "PreviewSession"("tokenHash");

CREATE UNIQUE INDEX IF NOT EXISTS "User_email_key" ON "User"("email");

-- What Prisma's schema language cannot say: the clean-up reads only what is due, whatever the table's size.
CREATE INDEX IF NOT EXISTS "PreviewSession_expiresAt_due_idx" ON "PreviewSession"("expiresAt") WHERE "status" = 'active';
CREATE INDEX IF NOT EXISTS "PreviewSession_revoked_due_idx" ON "PreviewSession"("id") WHERE "status" = 'active' AND "revoked";
