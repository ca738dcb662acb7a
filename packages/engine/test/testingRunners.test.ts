// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess } from '@roundsman/testing'
import { expect, it } from 'vitest'

it("a user's test under node:test passes, and its process ends by itself", async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  const file = join(import.meta.dirname, 'fixtures/userNodeTest.ts')
  const { exited, stdout, stderr } = spawnProcess(file, { args: [url] })
  expect(await exited, [...stdout, ...stderr].join('\n')).toEqual({ code: 0, signal: null })
  expect(stdout.join('\n')).toContain('pass 1')
  await drop()
})
