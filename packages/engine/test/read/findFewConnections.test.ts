import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { describeConnections, findFewConnections } from '../../src/read/findFewConnections.ts'
import type { JobsReader } from '../../src/read/reader.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime()

it('says how many connections are used, of how many, and whose they are', async () => {
  const found = await findFewConnections(runtime.reader, 0)
  const [sql] = await runtime.rows<{ most: number; used: number }>(
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
              - coalesce(current_setting('reserved_connections', true), '0')::int as "most",
            (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as "used"`,
  )
  expect(found!.most).toBe(sql!.most)
  expect(found!.used).toBeGreaterThan(1)
  expect(found!.used).toBeLessThan(sql!.most)
  // Of whatever process and part of the engine.
  expect(found!.by.map(({ name }) => name)).toContain('roundsman')
  expect(found!.by.length).toBeLessThanOrEqual(3)
  const share = found!.used / found!.most
  expect(await findFewConnections(runtime.reader, 2 * share + 0.1)).toBe(null)
  expect(
    describeConnections({
      used: 97,
      most: 100,
      by: [
        { name: 'roundsman', count: 42 },
        { name: '', count: 5 },
      ],
    }),
  ).toBe(
    '97 of 100 connections of the database are used, most by roundsman (42), sessions without a name (5)',
  )
})

it('says nothing where this role may not see whose they are', async () => {
  const role = `looker_${process.pid}`
  await runtime.rows(`create role ${role} login password 'x'`)
  onTestFinished(async () => void (await runtime.rows(`drop role ${role}`)))
  const seen = async () => {
    const url = new URL(runtime.url)
    Object.assign(url, { username: role, password: 'x' })
    const looker = new pg.Client({ connectionString: url.href })
    await looker.connect()
    // Its own session it may see.
    const rows: JobsReader['rows'] = async ({ text, values }) =>
      (await looker.query(text, values as unknown[])).rows as never
    const found = await findFewConnections({ rows }, 0)
    await looker.end()
    return found
  }
  expect(await seen()).toBe(null)
  await runtime.rows(`grant pg_monitor to ${role}`)
  expect(await seen()).toMatchObject({ used: expect.any(Number) })
})
