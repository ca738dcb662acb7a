import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDatabase, type Database } from '../../src/queue/database.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

let runtime: TestRuntime
let database: Database

beforeAll(async () => {
  runtime = await openTestRuntime([])
  database = openDatabase({ url: runtime.url, applicationName: 'victim', log: runtime.log })
})

afterAll(async () => {
  await database.close()
  await runtime.close()
})

const cut = () =>
  runtime.rows(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'victim'`,
  )

describe('openDatabase', () => {
  it('replaces connections that were cut, and logs neither them nor their keys', async () => {
    await Promise.all([database.query('select 1'), database.query('select 1')])
    await cut()

    expect((await database.query<{ n: number }>('select 1 as n')).rows).toEqual([{ n: 1 }])
    const lost = runtime.lines.filter(({ msg }) => msg === 'idle database connection lost')
    expect(lost.length).toBeGreaterThan(0)
    expect(JSON.stringify(lost)).not.toMatch(/secretKey|processID/)
  })

  it('rejects a transaction whose connection is cut, and serves the next', async () => {
    const refused = database.transaction(async (tx) => {
      await tx.query('select 1')
      await cut()
      await tx.query('select 1')
    })
    await expect(refused).rejects.toThrow(/connection/i)

    expect(
      await database.transaction(async (tx) => (await tx.query('select 1')).rows),
    ).toHaveLength(1)
  })
})
