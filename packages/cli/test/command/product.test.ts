import { ArgumentError } from '@roundsman/engine'
import { createTestDatabase } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { look, type DatabasePlace } from '../../src/command/product.ts'

it('returns why nothing could be looked up, except where the command line is wrong', async () => {
  const { url, drop } = await createTestDatabase()
  onTestFinished(drop)
  const product = {
    within: <Value>(work: (place: DatabasePlace) => Promise<Value>) =>
      work({ databaseUrl: url, schema: 'public' }),
  }

  expect(await look(product, async () => 7)).toEqual({ found: 7, reason: null })
  expect(await look(product, () => Promise.reject(new Error('no luck')))).toEqual({
    found: null,
    reason: 'no luck',
  })
  const wrong = new ArgumentError('name', 'holds a NUL character')
  await expect(look(product, () => Promise.reject(wrong))).rejects.toBe(wrong)
})
