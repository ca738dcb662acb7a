import { afterAll, beforeAll, expect, it } from 'vitest'
import { createJobsClient, measureQueue, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const letter = defineJob({ name: 'letter', description: '' })
const other = defineJob({ name: 'other', description: '' })

let runtime: TestRuntime
let client: JobsClient
beforeAll(async () => {
  runtime = await openTestRuntime([letter, other])
  client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await client.start()
})
afterAll(async () => {
  await client.stop()
  await runtime.close()
})

const measure = () => measureQueue(runtime.reader, ['letter', 'other'])

it('has a row for each job and state, also where there is nothing', async () => {
  const nothing = (name: string) =>
    ['ready', 'delayed', 'active', 'deadLetter'].map((state) => ({
      name,
      state,
      count: 0,
      oldestSeconds: null,
    }))
  expect(await measure()).toEqual([...nothing('letter'), ...nothing('other')])
})

it('counts what is in each state, and says for how long the oldest has been in it', async () => {
  const items = Array.from({ length: 8 }, () => ({ payload: {} }))
  await runtime.prisma.$transaction((tx) => client.enqueueMany(tx, letter, items))
  const set = (assignment: string, count: number) =>
    runtime.rows(
      `update pgboss.job set ${assignment} where id in (
         select id from pgboss.job where state = 'created' and start_after <= now() limit ${count}
       )`,
    )
  await set(`start_after = now() + interval '1 hour'`, 3)
  await set(`state = 'active', started_on = now() - interval '20 seconds'`, 1)
  await set(`state = 'failed', completed_on = now() - interval '1 day'`, 1)
  await set(`state = 'completed', completed_on = now()`, 1)
  await set(`start_after = now() - interval '90 seconds'`, 1)

  const rows = (await measure()).filter(({ name }) => name === 'letter')
  expect(rows.map(({ state, count }) => [state, count])).toEqual([
    ['ready', 2],
    ['delayed', 3],
    ['active', 1],
    ['deadLetter', 1],
  ])
  const [ready, delayed, active, dead] = rows.map(({ oldestSeconds }) => oldestSeconds)
  expect(Math.round(ready! / 10)).toBe(9)
  expect(delayed).toBeNull()
  expect(Math.round(active! / 10)).toBe(2)
  expect(Math.round(dead! / 1_000)).toBe(86)
})
