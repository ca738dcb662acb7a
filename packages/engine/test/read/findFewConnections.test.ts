import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { describeConnections, findFewConnections } from '../../src/read/findFewConnections.ts'
import { readerOf } from '../../src/read/reader.ts'
import { openTestRuntime } from '../openTestRuntime.ts'

const runtime = openForTests(openTestRuntime)

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
  const seen = async (grant: string) =>
    await runtime.database.transaction(async (tx) => {
      await tx.query(`create role looker`)
      await tx.query(grant)
      await tx.query('set local role looker')
      const found = await findFewConnections(readerOf(tx), 0)
      await tx.query('reset role')
      await tx.query('drop role looker')
      return found
    })
  expect(await seen('select 1')).toBe(null)
  expect(await seen('grant pg_monitor to looker')).toMatchObject({ used: expect.any(Number) })
})
