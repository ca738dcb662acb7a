import { expect, it } from 'vitest'
import { giveBackMemory } from '../src/giveBackMemory.ts'

it('makes the heap as small as what is in use', async () => {
  const MB = 1_048_576
  let kept: object[] | undefined = Array.from({ length: 300_000 }, (_, nth) => ({
    text: `${nth}`,
    nth,
  }))
  const before = process.memoryUsage()
  kept = undefined
  await giveBackMemory()
  const after = process.memoryUsage()
  expect(kept).toBeUndefined()
  expect(before.heapTotal - after.heapTotal).toBeGreaterThan(10 * MB)
  expect(after.heapTotal - after.heapUsed).toBeLessThan(10 * MB)
})
