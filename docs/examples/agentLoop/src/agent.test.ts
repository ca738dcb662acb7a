import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestJobs } from '@roundsman/engine/testing'
import { Pool } from 'pg'
import { createHandlers, type Model } from './jobs/handlers.js'
import { answerQuestion, jobs } from './jobs/index.js'

test('each turn is paid once, although the handler runs anew after each', async () => {
  const databaseUrl = process.env['DATABASE_URL'] ?? ''
  const pool = new Pool({ connectionString: databaseUrl })
  const turns: string[] = []
  const model: Model = async (messages) => {
    turns.push(messages.at(-1)?.text ?? '')
    const call = (tool: string) => ({
      text: `I ask ${tool}`,
      calls: [{ id: `call-${tool}`, tool, input: 'Lisbon' }],
    })
    if (turns.length === 1) return call('maps')
    if (turns.length === 2) return call('weather')
    return { text: 'It is sunny.', calls: [] }
  }
  const handlers = createHandlers(model, { weather: async (place) => `sunny in ${String(place)}` })
  const testJobs = await openTestJobs({ databaseUrl, client: pool, jobs, handlers })

  await testJobs.enqueueNow(answerQuestion, { question: 'Do I need a coat?' })
  const runs = await testJobs.drain()

  assert.deepEqual(runs.at(-1)?.result, { answer: 'It is sunny.' })
  assert.deepEqual(turns, ['Do I need a coat?', 'failed: no_tool', 'sunny in Lisbon'])
  await testJobs.close()
  await pool.end()
})
