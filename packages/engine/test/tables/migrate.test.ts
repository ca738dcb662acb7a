// Not quick: migrates dozens of databases.
import { randomUUID } from 'node:crypto'
import { createDatabaseClient, type Prisma, type PrismaClient } from '@roundsman/db'
import { createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient } from '../../src/client.ts'
import { defineJob, type Handler } from '../../src/index.ts'
import { checkMigrations, migrationSql, uninstallSql } from '../../src/internal.ts'
import { migrate } from '../../src/migrate.ts'
import { BASELINE } from '../../src/tables/baseline.ts'
import { CANCEL_CHANNEL, CHANGES_CHANNEL, WORK_CHANNEL } from '../../src/database/channels.ts'
import { createSchema } from '../../src/database/schema.ts'
import { createWorker, runOnce } from '../../src/worker.ts'
import { readCatalogue } from '../readCatalogue.ts'

const log = pino({ level: 'silent' })

let database: TestDatabase
let client: pg.Client
let prisma: PrismaClient

beforeEach(async () => {
  database = await createTestDatabase({ migrated: false })
  client = new pg.Client({ connectionString: database.url })
  await client.connect()
  prisma = createDatabaseClient({
    url: database.url,
    applicationName: 'host',
    onPoolError: () => undefined,
  })
})

afterEach(async () => {
  await prisma.$disconnect()
  await client.end()
  await database.drop()
})

const migrateIn = async (schema: string) => await migrate({ databaseUrl: database.url, schema })

it('makes everything once, and then finds nothing to do', async () => {
  expect(await migrateIn('roundsman')).toEqual([BASELINE])
  expect(await migrateIn('roundsman')).toEqual([])
})

it('of eight at once one migrates, and none fails', async () => {
  const done = await Promise.all(Array.from({ length: 8 }, () => migrateIn('roundsman')))
  expect(done.filter(({ length }) => length > 0)).toEqual([[BASELINE]])
})

it('makes only what statements name rightly, and no column that they would take for a table', async () => {
  await migrateIn('roundsman')
  const { rows } = await client.query<{ name: string; isColumn: boolean }>(`
    select relname as name, false as "isColumn" from pg_class where relnamespace = 'roundsman'::regnamespace and relkind in ('r', 'v', 'S')
    union all select typname, false from pg_type where typnamespace = 'roundsman'::regnamespace and typtype = 'e'
    union all select attname, true from pg_attribute join pg_class on pg_class.oid = attrelid
      where relnamespace = 'roundsman'::regnamespace`)
  const { sql } = createSchema('roundsman')
  for (const { name, isColumn } of rows)
    expect(sql(`"${name}"`)).toBe(isColumn ? `"${name}"` : `"roundsman"."${name}"`)
  expect(rows.filter(({ isColumn }) => !isColumn).length).toBeGreaterThan(20)
  expect(sql('select "JobFoo", run."JobRun", "JobRun_pkey" from "JobRuns"')).not.toContain(
    'roundsman',
  )
})

describe('what is there already', () => {
  it('is gone on with where somebody was killed on the way, at whatever statement', async () => {
    await migrateIn('roundsman')
    const catalogue = await readCatalogue(client)
    await client.query(uninstallSql())
    await client.query(`
      create sequence public.commands;
      create function public.kill() returns event_trigger language plpgsql as $$ begin
        if current_setting('application_name') = 'roundsman migrate' and nextval('public.commands') % 25 = 0
        then perform pg_terminate_backend(pg_backend_pid());
        end if;
      end $$;
      create event trigger killer on ddl_command_end execute function public.kill()`)
    let kills = 0
    const finish = async (): Promise<void> => {
      try {
        await migrateIn('roundsman')
      } catch {
        kills++
        // It is one transaction, which never gets that far: then it finishes without.
        if (kills < 3) return await finish()
        await client.query('drop event trigger killer')
        await finish()
      }
    }
    await finish()
    expect(kills).toBe(3)
    await client.query(`
      drop event trigger if exists killer; drop function public.kill; drop sequence public.commands`)

    expect(await readCatalogue(client)).toEqual(catalogue)
    expect(await migrateIn('roundsman')).toEqual([])
  })
})

describe('a script', () => {
  it.each(['public', 'Tall Ships, 2nd.', `${'x'.repeat(62)}%`])(
    'makes in %s what migrate makes',
    async (schema) => {
      const other = await createTestDatabase({ migrated: false })
      const otherClient = new pg.Client({ connectionString: other.url })
      await otherClient.connect()
      try {
        await migrateIn(schema)
        await otherClient.query(migrationSql({ schema }))
        expect(await readCatalogue(otherClient)).toEqual(await readCatalogue(client))

        expect(await checkMigrations({ databaseUrl: other.url, schema })).toBeNull()
        expect(await migrate({ databaseUrl: other.url, schema })).toEqual([])
      } finally {
        await otherClient.end()
        await other.drop()
      }
    },
  )

  it.each(['public', 'roundsman'])(
    'removes from %s all that is ours, and nothing else',
    async (schema) => {
      if (schema !== 'public') await client.query(`create schema "${schema}"`)
      await client.query(`
      create table "${schema}"."Berth" (id serial primary key, "JobRun" text);
      create type "${schema}"."JobTitle" as enum ('mate');
      create view "${schema}".berths as select * from "${schema}"."Berth"`)
      const before = await readCatalogue(client)
      await migrateIn(schema)
      expect(await readCatalogue(client)).not.toEqual(before)

      await client.query(uninstallSql({ schema }))

      expect(await readCatalogue(client)).toEqual(before)
    },
  )

  it('removes the schema as well, where nothing else is in it', async () => {
    const before = await readCatalogue(client)
    await migrateIn('roundsman')
    await client.query(uninstallSql())
    expect(await readCatalogue(client)).toEqual(before)
    await client.query(uninstallSql())
  })

  it('removes nothing while something of the host depends on it', async () => {
    await migrateIn('roundsman')
    await client.query('create view public.runs as select "id" from roundsman."JobRun"')
    const before = await readCatalogue(client)
    await expect(client.query(uninstallSql())).rejects.toThrow('depend on it')
    await client.query('rollback')
    expect(await readCatalogue(client)).toEqual(before)
  })
})

describe('tables of another version', () => {
  const task = defineJob({ name: 'task' })
  const options = () => ({ databaseUrl: database.url, schema: 'roundsman', log })

  /** Starts everything that this version may start: a client, a worker and a command. */
  async function startAll(): Promise<unknown[]> {
    const producer = createJobsClient(options())
    const handlers = { task: async () => undefined }
    const worker = createWorker({
      ...options(),
      retention: false,
      client: prisma,
      jobs: [task],
      handlers,
    })
    const caught = (error: unknown) => error
    const all = [
      await producer.start().catch(caught),
      await worker.start().catch(caught),
      await runOnce({ ...options(), client: prisma, job: task, handler: handlers.task }).then(
        ({ kind }) => kind,
        caught,
      ),
    ]
    await worker.stop()
    await producer.stop()
    return all
  }

  it('are refused where there are none', async () => {
    const missing = { name: 'TablesError', kind: 'missing', what: [] }
    expect(await startAll()).toMatchObject([missing, missing, missing])
    expect(((await startAll())[0] as Error).message).toBe(
      `Roundsman's tables in the schema roundsman of this database are missing; run npx roundsman migrate`,
    )
  })

  it.each([
    ['a name', ['claims'], `, claims, `],
    ['several names, the last of which counts', ['workerSchedules', 'claims'], `, claims, `],
    ['none', [], `, which has no name, `],
  ])('are refused where they are of another baseline, with %s', async (_, names, said) => {
    await migrateIn('roundsman')
    await client.query(
      `truncate roundsman."JobMigration"; alter table roundsman."JobRun" rename column "workId" to "queueJobId"`,
    )
    await client.query(
      `insert into roundsman."JobMigration"
       select name, true, now() + nth * interval '1 second' from unnest($1::text[]) with ordinality noted(name, nth)`,
      [names],
    )
    const before = await readCatalogue(client)
    const other = { name: 'TablesError', kind: 'other', what: names.slice(-1) }
    expect(await startAll()).toMatchObject([other, other, other])
    const refused = await migrateIn('roundsman').catch((error: unknown) => error)
    expect(refused).toMatchObject(other)
    expect((refused as Error).message).toBe(
      `Roundsman's tables in the schema roundsman of this database are of another baseline${said}and were not changed; npx roundsman export --schema 'roundsman' > roundsman.jsonl saves what they hold, then let this version have an empty schema or database`,
    )
    expect(await readCatalogue(client)).toEqual(before)
    const { rows } = await client.query(
      'select "name" from roundsman."JobMigration" order by "appliedAt"',
    )
    expect(rows.map(({ name }) => name)).toEqual(names)
  })

  it('are worked with where a newer version has broken nothing, and else refused', async () => {
    await migrateIn('roundsman')
    const note = `insert into roundsman."JobMigration" ("name", "breaks")`
    await client.query(`${note} values ('wider', false)`)
    expect(await startAll()).toEqual([undefined, undefined, 'ended'])
    expect(await migrateIn('roundsman')).toEqual([])

    await client.query(`${note} values ('narrower', true)`)
    const newer = { name: 'TablesError', kind: 'newer', what: ['narrower'] }
    expect(await startAll()).toMatchObject([newer, newer, newer])
    await expect(migrateIn('roundsman')).rejects.toMatchObject(newer)
    expect(await checkMigrations(options())).toMatchObject(newer)
  })

  it('that this role may not make are asked of one that may, who has a script', async () => {
    const role = `limited_${randomUUID().slice(0, 8)}`
    const url = new URL(database.url)
    url.username = role
    url.password = 'x'
    await client.query(`create role ${role} login password 'x'`)
    try {
      const limited = { databaseUrl: url.href, schema: 'roundsman' }
      await expect(migrate(limited)).rejects.toThrow(/^This role may not .*migrate --sql prints$/)
      await client.query(migrationSql())
      await client.query(`
        grant usage on schema roundsman to ${role};
        grant select, insert, update, delete on all tables in schema roundsman to ${role};
        grant usage on all sequences in schema roundsman to ${role}`)
      expect(await migrate(limited)).toEqual([])
    } finally {
      await client.query(`drop owned by ${role}; drop role ${role}`)
    }
  })
})

it.each(['cache 20', 'increment -1', 'cycle'])(
  'a worker and a client do not start where somebody has changed the sequence of places: %s',
  async (change) => {
    await migrateIn('roundsman')
    await client.query(`alter sequence roundsman."JobPlace" minvalue -1000 ${change}`)
    const at = { databaseUrl: database.url, log }
    const worker = createWorker({ ...at, client: prisma, jobs: [], handlers: {} })
    const producer = createJobsClient(at)
    const remedy = 'alter sequence "roundsman"."JobPlace" increment 1 cache 1 no cycle'
    await expect(worker.start()).rejects.toThrow(remedy)
    await expect(producer.start()).rejects.toThrow(remedy)

    await client.query(remedy)
    await producer.start()
    await producer.stop()
  },
)

it.each(['LATIN1', 'SQL_ASCII'])(
  'a database with the encoding %s is refused by name, and gets no tables',
  async (encoding) => {
    const name = `${new URL(database.url).pathname.slice(1)}_${encoding.toLowerCase()}`
    await client.query(
      `create database "${name}" encoding '${encoding}' locale 'C' template template0`,
    )
    try {
      const url = new URL(database.url)
      url.pathname = name
      const migrating = migrate({ databaseUrl: url.href })
      await expect(migrating).rejects.toThrow(
        `The database ${name} has the encoding ${encoding}, which cannot hold every text. Create another one, as with: create database app encoding 'UTF8' template template0`,
      )
      expect(await checkMigrations({ databaseUrl: url.href })).toMatchObject({ kind: 'missing' })
    } finally {
      await client.query(`drop database "${name}" with (force)`)
    }
  },
)

it('a run is never both running and ended, and a failure always has a code', async () => {
  await migrateIn('roundsman')
  const insert = (status: string, endedAt: string, errorCode = 'null') =>
    client.query(
      `insert into roundsman."JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt", "errorCode")
       values (gen_random_uuid(), 'x', 'cli', 'w', '${status}', ${endedAt}, ${errorCode})`,
    )

  await expect(insert('running', 'now()')).rejects.toThrow('JobRun_ended_check')
  await expect(insert('failed', 'null', `'x'`)).rejects.toThrow('JobRun_ended_check')
  await expect(insert('failed', 'now()')).rejects.toThrow('JobRun_failed_check')
  await expect(insert('success', 'now()', `'x'`)).rejects.toThrow('JobRun_failed_check')
  await expect(insert('failed', 'now()', `'x'`)).resolves.toBeDefined()
})

it.each([
  ['pg_jobs', /begins with pg_/],
  ['x'.repeat(64), /longer than PostgreSQL's 63 bytes/],
  ['', /must be a name/],
  ['a"b', /quotation mark/],
  ["a'b", /quotation mark/],
  ['a$b', /quotation mark, \$/],
])('a schema cannot be called %j', async (schema, reason) => {
  await expect(migrateIn(schema)).rejects.toThrow(reason)
})

describe('in three schemas of one database', () => {
  const NAMES = ['public', 'order', 'Tall Ships, 2nd']
  const wave = defineJob({ name: 'wave' })
  let stops: (() => Promise<void>)[]

  beforeEach(() => void (stops = []))
  afterEach(async () => void (await Promise.all(stops.map((stop) => stop()))))

  it('a worker in each does its own work, and hears of no other', async () => {
    const heard: [schema: string, payload: string][] = []
    const channels = new Map(
      NAMES.flatMap((name) =>
        [WORK_CHANNEL, CANCEL_CHANNEL, CHANGES_CHANNEL].map((channel) => [
          createSchema(name).channel(channel),
          name,
        ]),
      ),
    )
    client.on('notification', ({ channel, payload = '' }) => {
      heard.push([channels.get(channel)!, payload])
    })
    expect(channels.size).toBe(9)
    for (const channel of channels.keys()) await client.query(`listen "${channel}"`)
    for (const schema of NAMES) await migrateIn(schema)
    const products = await Promise.all(NAMES.map(startProduct))

    for (const [done, { greet, producer }] of products.entries()) {
      await prisma.$transaction((tx) => producer.enqueue(tx, greet, {}))
      await waitFor(async () => (await countSuccesses(NAMES[done]!)) === 2)
      const counts = []
      for (const name of NAMES) counts.push(await countSuccesses(name))
      expect(counts).toEqual(NAMES.map((_, at) => (at <= done ? 2 : 0)))
    }
    // Announcements come up to a quarter of a second later.
    await waitFor(() => NAMES.every((name) => heard.filter(([of]) => of === name).length >= 2))
    for (const [schema, payload] of heard) {
      const others = NAMES.filter((name) => name !== schema).map(nameOf)
      expect(others.filter((name) => payload.includes(name))).toEqual([])
    }
  })

  const nameOf = (schema: string) => `greet${NAMES.indexOf(schema)}`

  /** Starts a worker and a client in a schema of their own. */
  async function startProduct(schema: string) {
    const greet = defineJob({ name: nameOf(schema) })
    const options = { databaseUrl: database.url, schema, log }
    const handler: Handler<unknown, Prisma.TransactionClient> = async ({ batch, enqueue }) => {
      await batch(async (tx) => {
        await enqueue(tx, wave, {})
        return { greeted: 1 }
      })
    }
    const worker = createWorker({
      ...options,
      client: prisma,
      jobs: [greet, wave],
      handlers: { [greet.name]: handler, wave: async () => undefined },
    })
    const producer = createJobsClient(options)
    stops.push(
      () => worker.stop(),
      () => producer.stop(),
    )
    await worker.start()
    await producer.start()
    return { greet, producer }
  }

  async function countSuccesses(schema: string): Promise<number> {
    const { rows } = await client.query(
      `select count(*)::int as n from "${schema}"."JobRun" where status = 'success'`,
    )
    return rows[0].n
  }
})
