import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JobError } from '@roundsman/engine'
import { openTestJobs } from '@roundsman/engine/testing'
import { Pool } from 'pg'
import { createHandlers } from './jobs/handlers.js'
import { importRows, jobs } from './jobs/index.js'

const ROWS = 200

test('all rows are imported, and the report names those that failed', async () => {
  const databaseUrl = process.env['DATABASE_URL'] ?? ''
  const pool = new Pool({ connectionString: databaseUrl })
  await pool.query('create table imports (id int primary key, content text, report text)')
  const content = Array.from({ length: ROWS }, (_, n) => `user${n}@example.com`).join('\n')
  await pool.query('insert into imports values (1, $1)', [content])
  let created = 0
  const handlers = createHandlers(pool, async (email) => {
    if (email.startsWith('user7@'))
      throw new JobError('known', 'It is there already', { retryable: false })
    return `c${created++}`
  })
  const testJobs = await openTestJobs({ databaseUrl, client: pool, jobs, handlers })

  await testJobs.enqueueNow(importRows, { importId: 1 })
  const runs = await testJobs.drain({ maxRuns: ROWS + 10 })

  const { imported, failed } = runs.at(-1)?.details ?? {}
  assert.deepEqual([imported, failed], [ROWS - 1, 1])
  assert.equal(created, ROWS - 1)
  const { rows } = await pool.query('select report from imports')
  assert.deepEqual(rows, [{ report: 'user7@example.com: known' }])
  await testJobs.close()
  await pool.end()
})
