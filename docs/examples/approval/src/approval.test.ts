import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestJobs } from '@roundsman/engine/testing'
import { Pool } from 'pg'
import { decide } from './decide.js'
import { createHandlers } from './jobs/handlers.js'
import { jobs, payOut } from './jobs/index.js'

test('a claim is paid once it is approved, and refused after a week', async () => {
  const databaseUrl = process.env['DATABASE_URL'] ?? ''
  const pool = new Pool({ connectionString: databaseUrl })
  await pool.query('create table claims (id text primary key, state text, decided_by text)')
  await pool.query('create table clicks (claim_id text, by text)')
  await pool.query(`insert into claims values ('early'), ('late'), ('never')`)
  const asked: string[] = []
  const handlers = createHandlers(async (_, text) => void asked.push(text))
  const testJobs = await openTestJobs({ databaseUrl, client: pool, jobs, handlers })
  const ada = { by: 'ada', isApproved: true }

  // Before the wait, after it has begun, and not at all.
  assert.equal(await decide(pool, testJobs, 'early', ada), 'stored')
  for (const claimId of ['early', 'late', 'never']) await testJobs.enqueueNow(payOut, { claimId })
  await testJobs.drain()
  assert.equal(await decide(pool, testJobs, 'late', ada), 'stored')
  assert.equal(await decide(pool, testJobs, 'late', ada), 'duplicate')
  await testJobs.drain()
  await testJobs.advance({ days: 7 })
  await testJobs.drain()

  const { rows } = await pool.query('select * from claims order by id')
  assert.deepEqual(rows, [
    { id: 'early', state: 'paid', decided_by: 'ada' },
    { id: 'late', state: 'paid', decided_by: 'ada' },
    { id: 'never', state: 'refused', decided_by: 'nobody within a week' },
  ])
  assert.equal(asked.length, 3)
  await testJobs.close()
  await pool.end()
})
