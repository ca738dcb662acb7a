import { afterAll, beforeAll } from 'vitest'

/**
 * Opens something before the tests of a file, or of a `describe`, and closes it after them. What it returns is empty until then: read
 * it in tests and in hooks.
 */
export function openForTests<Opened extends { close(): Promise<unknown> }>(
  open: () => Promise<Opened>,
): Opened {
  const opened = {} as Opened
  beforeAll(async () => void Object.assign(opened, await open()))
  afterAll(() => opened.close())
  return opened
}
