import { WORK_LEFT } from '../countStrays.ts'
import { openPool, type Queryable } from '../openPool.ts'
import { chaosSchedules } from './chaosJobs.ts'
import type { Server } from './openServer.ts'
import { migrateAll } from '../product.ts'

const NAME = 'chaos'

/** Creates the database on which the suite works. Returns its name. */
export async function prepareDatabase(
  server: Server,
  options: { rows: number; startAt: Date },
): Promise<string> {
  const maintenance = openPool({
    url: server.url('postgres'),
    applicationName: 'chaos',
    poolSize: 1,
  })
  try {
    await maintenance.query(`create database ${NAME}`)
  } finally {
    await maintenance.close()
  }
  const url = server.url(NAME)
  await migrateAll(url)
  const database = openPool({ url, applicationName: 'chaos', poolSize: 1 })
  try {
    await createChaosTables(database)
    await database.query('insert into "ChaosRow" ("id") select generate_series(1, $1::int)', [
      options.rows,
    ])
    await database.query('vacuum analyze "ChaosRow"')
    await registerSchedules(database, options.startAt)
  } finally {
    await database.close()
  }
  return NAME
}

/** Creates the tables of the suite's jobs, and those that record by the server's clock when runs ended. */
export async function createChaosTables(database: Queryable): Promise<void> {
  await database.query(`
    create table "ChaosEnqueue" ("workId" uuid primary key);
    -- What is completed leaves the queue; what was ever in it is seen here, whoever put it there.
    create table "ChaosWork" ("id" uuid primary key, "name" text not null);
    create function chaos_note() returns trigger language plpgsql as $$
      begin
        insert into "ChaosWork" values (new.id, new.name) on conflict do nothing;
        return null;
      end
    $$;
    create trigger chaos_note after insert on "JobWork" for each row execute function chaos_note();
    create view "ChaosJob" as
      select work."id", work."name", coalesce(place."state", 'completed') as state
      from "ChaosWork" work left join ${WORK_LEFT} place on place."id" = work."id";
    create table "ChaosEffect" ("workId" uuid primary key, "runId" uuid not null);
    create table "ChaosTouch" ("id" uuid primary key, "isDone" boolean not null default false);
    -- Walks: to each somebody gives an answer. Then what their steps do.
    create table "ChaosWalk" ("id" uuid primary key, "isAnswered" boolean not null default false);
    create table "ChaosCall" ("id" uuid not null, "key" text not null, primary key ("id", "key"));
    create table "ChaosCharge" ("id" uuid primary key);
    create table "ChaosBooking" ("id" uuid not null, "runId" uuid not null);
    create table "ChaosMemo" ("workId" uuid not null, "name" text not null, "item" text not null, "memo" jsonb not null);
    create function chaos_note_memo() returns trigger language plpgsql as $$
      begin
        insert into "ChaosMemo" values (new."workId", new."name", new."item", to_jsonb(new));
        return null;
      end
    $$;
    create trigger chaos_note_memo after insert or update on "JobStep"
      for each row when (new."endedAt" is not null) execute function chaos_note_memo();
    create table "ChaosRow" ("id" int primary key, "sweptBy" uuid);
    create index on "ChaosRow" ("id") where "sweptBy" is null;
    create table "ChaosHold" ("runId" uuid not null, "name" text not null, "key" text, "limits" text[] not null, "at" timestamptz not null);
    -- Both instants are before the commit: a run holds its slots from the first on, and beyond the second.
    create function chaos_note_hold() returns trigger language plpgsql as $$
    begin
      insert into "ChaosHold" select run."id", new."name", run."key", new."limits", clock_timestamp()
      from unnest(new."runIds", new."keys") run("id", "key");
      return null;
    end $$;
    create trigger chaos_note_hold after insert on "JobClaim"
      for each row when (new."limits" is not null) execute function chaos_note_hold();
    create table "ChaosRunEnd" ("runId" uuid not null, "at" timestamptz not null);
    create function chaos_note_end() returns trigger language plpgsql as $$
    begin
      insert into "ChaosRunEnd" values (new."id", clock_timestamp());
      return null;
    end $$;
    create trigger chaos_note_end after insert or update on "JobRun"
      for each row when (new."status" <> 'running') execute function chaos_note_end();`)
}

/** Registers the schedules like a worker that starts at that instant: from then on every tick must be in the ledger. */
async function registerSchedules(database: Queryable, startAt: Date): Promise<void> {
  for (const { name, schedule } of chaosSchedules) {
    await database.query(
      `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ($1, $2, $3, $4)`,
      [name, schedule.cron, schedule.timeZone, startAt],
    )
  }
}
