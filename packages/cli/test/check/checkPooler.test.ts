import { createPooler, createTestDatabase } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { checkPooler } from '../../src/check/checkPooler.ts'

it('finds a pooler in transaction mode, and names the address to use', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)
  const [transactions, sessions] = [
    await createPooler(url),
    await createPooler(url, { mode: 'session' }),
  ]
  onTestFinished(transactions.close)
  onTestFinished(sessions.close)
  expect(await checkPooler(transactions.url)).toMatchObject([
    {
      severity: 'error',
      code: 'transaction_pooler',
      remedy: expect.stringContaining(new URL(url).host),
    },
  ])
  expect(await checkPooler(sessions.url)).toEqual([])
  expect(await checkPooler(url)).toEqual([])
})
