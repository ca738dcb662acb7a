-- Mail that tells of what is wrong with the jobs: its text is written with it, and it is about no invoice.
ALTER TYPE "EmailKind" ADD VALUE IF NOT EXISTS 'alert';

ALTER TABLE "EmailMessage" ALTER COLUMN "invoiceId" DROP NOT NULL;
ALTER TABLE "EmailMessage" ALTER COLUMN "version" DROP NOT NULL;
ALTER TABLE "EmailMessage" ADD COLUMN IF NOT EXISTS "subject" TEXT;
ALTER TABLE "EmailMessage" ADD COLUMN IF NOT EXISTS "text" TEXT;
