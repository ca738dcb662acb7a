// Not quick: starts processes.
import { cp, mkdtemp, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase, waitFor } from '@roundsman/testing'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase, type Database } from '../../../packages/engine/src/store/database.ts'
import { createSchema } from '../../../packages/engine/src/store/schema.ts'
import { findFreePort } from '@roundsman/local-postgres'
import { listMigrationNames } from '../../../packages/db/src/readMigrationDirectories.ts'
import { WORKSPACE_ROOT } from '../stack.ts'
import { openAdopter } from './openAdopter.ts'
import { readSteps } from './readSteps.ts'
import { createScript, migrateDeploy, reset, resolveApplied } from './schemaEngine.ts'

const PAGE = join(WORKSPACE_ROOT, 'docs/adopting.md')
const OUR_MIGRATIONS = join(WORKSPACE_ROOT, 'prisma/migrations')
const KEY = 'the key of the harbour'

interface AdminRun {
  id: string
  name: string
  status: string
  trigger: string
  startedAt: string
  endedAt: string
  details: Record<string, unknown> | null
}

test('a foreign monorepo that does what docs/adopting.md says has jobs, and its routes as they were', async () => {
  const database = await openEmptyDatabase()
  const query = async (text: string) => (await database.query(text)).rows
  // Somewhere it is not UTC, as on a machine of one's own.
  await query(`do $$ begin
    execute format('alter database %I set timezone to ''Asia/Kolkata''', current_database());
  end $$`)
  const port = String(await findFreePort())
  const adopter = await openAdopter({ DATABASE_URL: database.url, PORT: port, HARBOUR_KEY: KEY })
  onTestFinished(adopter.close)
  const storage = join(adopter.root, 'libs/storage')

  // The product as it was: its own history, its own rows, its own tests.
  await adopter.run('pnpm install && pnpm --filter @tideworks/storage exec prisma generate')
  await adopter.run('pnpm --filter @tideworks/storage exec prisma migrate deploy && pnpm test')
  await query(`insert into berths (code, length_cm) values ('A-12', 1100), ('B-7', 800)`)
  await query(`insert into bookings (berth_id, boat, night)
    select id, 'Curlew', date '2026-07-01' + night from berths, generate_series(0, 13) night where code = 'B-7'`)

  for (const step of readSteps(await readFile(PAGE, 'utf8'))) await adopter.take(step)

  // Its routes are as they were, and so is every migration and test of its own.
  const untouched =
    'services/http/src/routes services/http/test libs/storage/prisma/migrations/2025*'
  expect(await adopter.run(`git diff HEAD --stat -- ${untouched}`)).toBe('')
  expect(await adopter.run('git diff HEAD --stat -- services/http/src/services.ts')).not.toBe('')
  await adopter.run('pnpm test')
  expect(
    await query('select count(*)::int as "count" from bookings where boat = \'Curlew\''),
  ).toEqual([{ count: 14 }])

  // What the page booked was enqueued with it, and a worker process has carried it out.
  const runs = await waitFor(
    async () => {
      const found = await readRuns()
      return found.some(({ status }) => status === 'success') ? found : null
    },
    { message: 'The run of the job that the page enqueued', timeoutMs: 30_000 },
  )
  const ended = runs.find(
    ({ status, details }) => status === 'success' && details?.['confirmed'] === 1,
  )
  expect(ended).toMatchObject({ name: 'confirmBooking', trigger: 'queue', details: { batches: 1 } })
  // The instant itself, and not the wall clock of Kolkata taken for UTC.
  const [truth] = await query(
    `select (extract(epoch from "startedAt") * 1000)::float8 as "ms" from "JobRun" where "id" = '${ended!.id}'`,
  )
  expect(Date.parse(ended!.startedAt)).toBe(truth!['ms'])
  expect(
    await query(`select "confirmed_at" is not null as "done" from bookings where boat = 'Tern'`),
  ).toEqual([{ done: true }])

  // A booking that is rolled back has no job.
  const before = await countWork()
  const refused = await book({ berth: 'A-12', boat: 'Curlew', night: '2026-09-01' })
  expect(refused.status).toBe(500)
  expect(await countWork()).toBe(before)
  expect((await book({ berth: 'A-12', boat: 'Tern', night: '2026-08-02' })).status).toBe(201)
  expect(await countWork()).toBe(before + 1)

  // The engine's own job removes what is old and nothing else.
  expect(await query(`select "name", "timeZone" from "JobSchedule"`)).toEqual([
    { name: 'pruneJobRuns', timeZone: 'UTC' },
  ])
  await waitFor(
    async () =>
      (await query(`select from pgboss.job where state in ('created', 'retry', 'active')`))
        .length === 0,
    { message: 'All work is done', timeoutMs: 30_000 },
  )
  const kept = (await readRuns()).length
  await query(`insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
    select gen_random_uuid(), 'confirmBooking', 'success', 'queue', 'gone', now() - interval '31 days', now()
    from generate_series(1, 1500)`)
  await query(`insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId")
    select 'pruneJobRuns', now() - n * interval '20 days', 'missed', 'gone' from generate_series(1, 3) n`)
  await query(
    `insert into pgboss.job (name, data) values ('pruneJobRuns', '{"payload":{},"trigger":"manual"}')`,
  )
  const pruned = await waitFor(
    async () =>
      (await readRuns()).find(
        ({ name, status }) => name === 'pruneJobRuns' && status !== 'running',
      ),
    { message: 'The run of pruneJobRuns', timeoutMs: 30_000 },
  )
  expect(pruned).toMatchObject({ status: 'success', details: { succeeded: 1500, ticks: 2 } })
  expect(await readRuns()).toHaveLength(kept + 1)

  // Who has not got the key reads nothing.
  expect((await fetch(`http://127.0.0.1:${port}/admin/job-runs`)).status).toBe(401)

  // The database is what the schema files say: Prisma finds nothing to change.
  const fresh = await openEmptyDatabase()
  await fresh.query(await createScript(storage, fresh.url))
  expect(await readStructure(database.query)).toEqual(await readStructure(fresh.query))

  async function readRuns(): Promise<AdminRun[]> {
    const response = await fetch(`http://127.0.0.1:${port}/admin/job-runs`, {
      headers: { 'x-harbour-key': KEY },
    })
    return ((await response.json()) as { runs: AdminRun[] }).runs
  }

  function book(body: Record<string, string>): Promise<Response> {
    return fetch(`http://127.0.0.1:${port}/bookings`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }

  async function countWork(): Promise<number> {
    // What is completed has left the queue, and its run remains.
    const [row] = await query(
      `select count(*)::int as "count" from (
         select id from pgboss.job where name = 'confirmBooking'
         union select "queueJobId" from "JobRun" where name = 'confirmBooking'
       ) work`,
    )
    return row!['count'] as number
  }
}, 180_000)

test('a database with tables and without a history is refused as P3005, until it has a baseline', async () => {
  const database = await openEmptyDatabase()
  const storage = await copyStorage()
  const own = await listMigrationNames(join(storage, 'prisma/migrations'))
  // As after `prisma db push`.
  for (const name of own) {
    await database.query(
      await readFile(join(storage, 'prisma/migrations', name, 'migration.sql'), 'utf8'),
    )
  }
  await database.query(`insert into berths (code, length_cm) values ('A-12', 1100)`)
  const ours = (await listMigrationNames(OUR_MIGRATIONS)).filter((name) => name.includes('_job'))
  for (const name of ours) {
    await cp(join(OUR_MIGRATIONS, name), join(storage, 'prisma/migrations', name), {
      recursive: true,
    })
  }
  await expect(migrateDeploy(storage, database.url)).rejects.toMatchObject({ code: 'P3005' })

  for (const name of own) await resolveApplied(storage, database.url, name)

  expect(await migrateDeploy(storage, database.url)).toEqual(ours)
  expect(await migrateDeploy(storage, database.url)).toEqual([])
  expect((await database.query('select code from berths')).rows).toEqual([{ code: 'A-12' }])
  expect((await database.query('select from "JobRun"')).rows).toEqual([])
})

test('a reset by Prisma leaves the schema of the queue alone', async () => {
  const database = await openEmptyDatabase()
  await database.query('create table berths (id serial primary key)')
  await database.query('create schema pgboss')
  await database.query('create table pgboss.job (id serial primary key)')

  await reset(database.url)

  const { rows } = await database.query(
    `select schemaname || '.' || tablename as "table" from pg_tables
     where schemaname in ('public', 'pgboss')`,
  )
  expect(rows).toEqual([{ table: 'pgboss.job' }])
})

/** The foreign product's storage, to add migrations to. */
async function copyStorage(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'roundsman-storage-')))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await cp(join(import.meta.dirname, 'tideworks/libs/storage/prisma'), join(folder, 'prisma'), {
    recursive: true,
  })
  return folder
}

async function openEmptyDatabase() {
  const { url, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  const log = { warn: () => undefined }
  const { query, close } = openDatabase({
    schema: createSchema('public'),
    url,
    applicationName: 'test',
    poolSize: 1,
    log,
  })
  onTestFinished(() => close())
  return { url, query }
}

/** What Prisma's engine compares, of its schema: it passes over partial indexes and checks. */
async function readStructure(query: Database['query']): Promise<unknown[]> {
  const { rows } = await query(`
    select table_name || '.' || column_name as "what",
           concat_ws(' ', udt_name, datetime_precision, is_nullable, column_default) as "how"
    from information_schema.columns where table_schema = 'public' and table_name not in ('_prisma_migrations', 'JobMigration')
    union all
    select indexname, indexdef from pg_indexes
    where schemaname = 'public' and tablename not in ('_prisma_migrations', 'JobMigration') and indexdef not like '% WHERE %'
    union all
    select typname, string_agg(enumlabel, ' ' order by enumsortorder)
    from pg_type join pg_enum on enumtypid = pg_type.oid
    where typnamespace = 'public'::regnamespace group by typname
    order by 1, 2`)
  return rows
}
