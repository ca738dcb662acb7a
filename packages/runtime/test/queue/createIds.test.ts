import { expect, it } from 'vitest'
import { createIds } from '../../src/queue/createIds.ts'

it('are of version 7, all different, and sort as they are listed', () => {
  const before = Date.now()
  const ids = createIds(2_000)
  expect(
    ids.every((id) => /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/.test(id)),
  ).toBe(true)
  expect(new Set(ids).size).toBe(2_000)
  expect(ids.toSorted()).toEqual(ids)
  const at = Number.parseInt(ids[0]!.replaceAll('-', '').slice(0, 12), 16)
  expect(at).toBeGreaterThanOrEqual(before)
  expect(at).toBeLessThanOrEqual(Date.now())
})

it('differ from those of the next draw', () => {
  expect(new Set([...createIds(500), ...createIds(500)]).size).toBe(1_000)
  expect(createIds(0)).toEqual([])
})
