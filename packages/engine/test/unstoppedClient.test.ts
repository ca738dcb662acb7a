// Not quick: starts processes.
import { join } from 'node:path'
import { createTestDatabase, spawnProcess } from '@roundsman/testing'
import { expect, it } from 'vitest'

it('a process that does not stop its client ends when its own work does', async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  const file = join(import.meta.dirname, 'fixtures/unstoppedClient.ts')
  const { exited, stdout, stderr } = spawnProcess(file, { args: [url] })
  expect(await exited, stderr.join('\n')).toEqual({ code: 0, signal: null })
  expect(stdout).toEqual(['All is done'])
  await drop()
})
