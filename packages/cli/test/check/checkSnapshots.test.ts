import { openReader } from '@roundsman/engine/client'
import { createTestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { checkSnapshots } from '../../src/check/checkSnapshots.ts'

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
  expect(await checkSnapshots(reader, inMinutes(5))).toEqual([])
  expect(await checkSnapshots(reader, inMinutes(15))).toMatchObject([
    {
      severity: 'warning',
      code: 'old_snapshot',
      job: null,
      problem: expect.stringContaining(`pid ${pid} (psql, idle in transaction)`),
      remedy: expect.stringContaining(`pg_terminate_backend(${pid})`),
    },
  ])
})
