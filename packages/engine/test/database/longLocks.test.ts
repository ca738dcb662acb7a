// Not quick: holds locks for a minute.
import { setTimeout as pause } from 'node:timers/promises'
import { listEngineTables, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const COUNT = 20
const limited = defineJob({ name: 'limited', concurrency: { global: COUNT } })

const { runtime, client } = useClientRuntime()

const connections = () =>
  runtime.rows<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database()
       and (application_name ~ '^roundsman .*:' and application_name !~ 'engine$' or application_name = 'roundsman client')
     order by pid`,
  )

async function begin(): Promise<pg.Client> {
  const session = new pg.Client({ connectionString: runtime.url, application_name: 'foreign' })
  await session.connect()
  onTestFinished(() => session.end())
  await session.query('begin')
  return session
}

it('rows locked for a minute and all tables for 40 seconds are answered by errors: no connection falls silent, no run is lost', async () => {
  const gate = Promise.withResolvers<void>()
  let calls = 0
  await startTestWorker(runtime, {
    concurrency: COUNT,
    jobs: [limited],
    handlers: {
      async limited() {
        calls++
        await gate.promise
      },
    },
  })
  for (let n = 0; n < COUNT; n++) await client.enqueueNow(limited, {})
  await waitFor(() => calls === COUNT)
  await waitFor(async () => (await connections()).length >= 3)
  const before = await connections()
  const rows = await begin()
  for (const table of ['"JobLimit"', '"JobWorker"'])
    await rows.query(`select from ${table} for update`)
  const tables = await begin()
  for (const table of await listEngineTables(tables))
    if (!/JobLimit"|JobWorker"/.test(table))
      await tables.query(`lock ${table} in access exclusive mode`)
  gate.resolve()

  const [refused] = await Promise.allSettled([client.enqueueNow(limited, {}), pause(40_000)])
  expect(refused).toMatchObject({ status: 'rejected', reason: { code: '57014' } })
  await tables.query('rollback')
  await client.enqueueNow(limited, {})
  await pause(20_000)
  await rows.query('rollback')

  const succeeded = async () =>
    (await runtime.rows(`select from "JobRunAll" where "status" = 'success'`)).length
  await waitFor(async () => (await succeeded()) === COUNT + 1)
  expect(calls).toBe(COUNT + 1)
  expect(await runtime.rows(`select from "JobRun" where "status" <> 'success'`)).toEqual([])
  expect(await connections()).toEqual(before)
  expect(JSON.stringify(runtime.lines)).not.toMatch(
    /Query read timeout|session lost|listening interrupted/,
  )
}, 120_000)
