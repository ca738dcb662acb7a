-- A customer's weekly report: its text is written with it, and it is about no single invoice.
ALTER TYPE "EmailKind" ADD VALUE IF NOT EXISTS 'report';
