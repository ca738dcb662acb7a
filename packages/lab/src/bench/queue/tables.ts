import { placeSql } from './floor.ts'

/** The engine's own queue, as a sketch to be measured: what waits, what runs, what has ended. */
export const TABLES_SQL = `
  create schema own;
  set local search_path to own;
  create sequence "JobPlace";
  create table "JobWork" (
    "id" uuid not null constraint "JobWork_pkey" primary key,
    "name" text not null,
    -- The priority, negated: what is greater starts later.
    "rank" integer not null default 0,
    -- Null: it is not due yet. A worker's round gives it a place then.
    "place" bigint default ${placeSql('own."JobPlace"')},
    "dueAt" timestamptz(3) not null default now(),
    "attempt" smallint not null default 1,
    "failures" smallint not null default 0,
    "losses" smallint not null default 0,
    "lossesAlone" smallint not null default 0,
    -- What a worker has to understand to take it.
    "needs" smallint not null default 0,
    "bytes" integer not null default 2,
    "key" text,
    "label" text,
    "enqueuedAt" timestamptz(3) not null default now(),
    -- What few pieces have: trigger, actor, reason, scheduledFor, shown, trace, expiry.
    "facts" jsonb,
    "payload" jsonb not null default '{}'
  ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
  create index "JobWork_ready_idx" on "JobWork" ("name", "rank", "place") where "place" is not null;
  create index "JobWork_due_idx" on "JobWork" ("dueAt") where "place" is null;
  create index "JobWork_key_idx" on "JobWork" ("name", "key", "rank", "place") where "key" is not null and "place" is not null;

  create table "JobClaim" (
    "id" uuid not null constraint "JobClaim_pkey" primary key,
    "name" text not null,
    "workerId" text not null,
    "origin" smallint not null default 0,
    "exclusiveKey" text,
    "isAlone" boolean not null default false,
    "startedAt" timestamptz(3) not null,
    "expiresAt" timestamptz(3) not null,
    "bytes" integer not null,
    "runIds" uuid[] not null,
    -- Null where all are first attempts, whose runs have the ids of their work.
    "workIds" uuid[],
    "attempts" smallint[],
    "failures" smallint[],
    "losses" smallint[],
    "lossesAlone" smallint[],
    "keys" text[],
    "labels" text[],
    "enqueuedAt" timestamptz(3)[] not null,
    "ranks" integer[],
    "facts" jsonb[],
    "payloads" jsonb[] not null
  );
  create unique index "JobClaim_exclusiveKey_key" on "JobClaim" ("exclusiveKey");
  create index "JobClaim_workerId_idx" on "JobClaim" ("workerId");

  -- As today's, indexes and all.
  create table "JobRun" (like public."JobRun" including all);
`
