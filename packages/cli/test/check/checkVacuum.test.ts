import { openReader } from '@roundsman/engine/client'
import { createTestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { checkVacuum } from '../../src/check/checkVacuum.ts'

it('warns of autovacuum that is off or does not come, for the server or a table, and says how to mend it', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)
  const host = new pg.Client({ connectionString: url })
  await host.connect()
  onTestFinished(() => host.end())
  const found = async () => {
    const reader = openReader({ schema: 'public', databaseUrl: url })
    const findings = await checkVacuum(reader, new Date())
    await reader.close()
    return findings.map(({ code, problem, remedy }) => [code, problem, remedy])
  }
  expect(await found()).toEqual([])
  await host.query(
    `do $$ begin execute format('alter database %I set track_counts = off', current_database()); end $$`,
  )
  expect(await found()).toMatchObject([
    [
      'autovacuum_off',
      expect.stringContaining('whole server'),
      expect.stringContaining('track_counts = on'),
    ],
  ])
  await host.query(
    `do $$ begin execute format('alter database %I reset track_counts', current_database()); end $$`,
  )
  await host.query('alter table "JobWork" set (autovacuum_enabled = off)')
  expect(await found()).toEqual([
    [
      'autovacuum_off',
      expect.stringContaining('public."JobWork"'),
      'alter table public."JobWork" reset (autovacuum_enabled)',
    ],
  ])
  await host.query('alter table "JobWork" reset (autovacuum_enabled)')

  await host.query(`
    insert into "JobUnique" select 'mail', n::text, gen_random_uuid() from generate_series(1, 100000) n;
    delete from "JobUnique"; select pg_stat_force_next_flush()`)
  expect(await found()).toMatchObject([
    [
      'dead_rows',
      'public."JobUnique" has 100,000 dead rows beside 0, and no vacuum has removed any for ten minutes',
      expect.stringContaining('vacuum public."JobUnique"'),
    ],
  ])
  await host.query('vacuum "JobUnique"')
  await host.query('select pg_stat_force_next_flush()')
  expect(await found()).toEqual([])
})

it('finds a sequence of places that is behind the places in use', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)
  const reader = openReader({ schema: 'public', databaseUrl: url })
  onTestFinished(() => reader.close())
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  onTestFinished(() => session.end())
  const codes = async () => (await checkVacuum(reader, new Date())).map(({ code }) => code)
  expect(await codes()).toEqual([])
  await session.query(`insert into "JobLimit" ("name", "changedPlace") values ('behind', 1000)`)
  expect(await codes()).toEqual(['places_behind'])
})

it('warns of a transaction that keeps old rows from being removed, and says how to end it', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)
  const reader = openReader({ schema: 'public', databaseUrl: url })
  onTestFinished(() => reader.close())
  const session = new pg.Client({ connectionString: url, application_name: 'psql' })
  await session.connect()
  onTestFinished(() => session.end())
  const { rows } = await session.query<{ pid: number; at: Date }>(
    'select pg_backend_pid() as pid, clock_timestamp() as at',
  )
  const { pid, at } = rows[0]!
  const inMinutes = (minutes: number) => new Date(at.getTime() + minutes * 60_000)
  await session.query('begin isolation level repeatable read')
  await session.query('select 1')
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  onTestFinished(() => other.end())
  await other.query(
    `do $$ begin for n in 1..1000 loop perform pg_current_xact_id(); commit; end loop; end $$`,
  )
  expect(await checkVacuum(reader, inMinutes(5))).toEqual([])
  expect(await checkVacuum(reader, inMinutes(15))).toMatchObject([
    {
      severity: 'warning',
      code: 'old_snapshot',
      job: null,
      problem: expect.stringContaining(`pid ${pid} (psql, idle in transaction)`),
      remedy: expect.stringContaining(`pg_terminate_backend(${pid})`),
    },
  ])
})
