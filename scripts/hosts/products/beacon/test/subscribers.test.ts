import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { pool } from '../src/database.ts'
import { listSubscribers, subscribe } from '../src/subscribers.ts'

const email = `test-${process.pid}@example.com`

after(async () => {
  await pool.query('delete from subscribers where email = $1', [email])
  await pool.end()
})

test('somebody subscribes once', async () => {
  assert.notEqual(await subscribe(email), null)
  assert.equal(await subscribe(email), null)
  assert.ok((await listSubscribers()).includes(email))
})
