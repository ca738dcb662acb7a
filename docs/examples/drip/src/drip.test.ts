import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestJobs } from '@roundsman/engine/testing'
import { Pool } from 'pg'
import { createHandlers } from './jobs/handlers.js'
import { drip, jobs } from './jobs/index.js'

test('each letter comes once, on its day, and none once the customer has left', async () => {
  const databaseUrl = process.env['DATABASE_URL'] ?? ''
  const pool = new Pool({ connectionString: databaseUrl })
  await pool.query('create table users (id int, email text, wants_letters boolean default true)')
  await pool.query(`insert into users values (1, 'ada@example.com'), (2, 'bob@example.com')`)
  let sent: string[] = []
  const handlers = createHandlers(
    pool,
    async ({ to, template }) => void sent.push(`${to} ${template}`),
  )
  const testJobs = await openTestJobs({ databaseUrl, client: pool, jobs, handlers })
  const after = async (days: number) => {
    sent = []
    await testJobs.advance({ days })
    await testJobs.drain()
    return sent.toSorted()
  }

  for (const userId of [1, 2]) await testJobs.enqueueNow(drip, { userId })
  assert.deepEqual(await after(0), ['ada@example.com welcome', 'bob@example.com welcome'])
  assert.deepEqual(await after(2), [])
  await pool.query('update users set wants_letters = false where id = 2')
  assert.deepEqual(await after(1), ['ada@example.com tips'])
  assert.deepEqual(await after(11), ['ada@example.com offer'])

  await testJobs.close()
  await pool.end()
})
