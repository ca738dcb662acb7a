import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { eq } from 'drizzle-orm'
import { db } from './db'
import { addItem } from './items'
import { items } from './schema'

const name = `Flour ${process.pid}`

after(async () => {
  await db.delete(items).where(eq(items.name, name))
  await db.$client.end()
})

test('an item is kept', async () => {
  const item = await addItem({ name, amount: 2, bestBefore: '2030-01-01' })
  assert.deepEqual({ amount: item.amount, bestBefore: item.bestBefore }, { amount: 2, bestBefore: '2030-01-01' })
})
