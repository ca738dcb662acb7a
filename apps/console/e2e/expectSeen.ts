import type { Locator } from '@roundsman/testing'
import { expect } from 'vitest'

/** Waits until the element shows. */
export async function expectSeen(element: Locator): Promise<void> {
  await element.waitFor()
  expect(await element.isVisible()).toBe(true)
}
