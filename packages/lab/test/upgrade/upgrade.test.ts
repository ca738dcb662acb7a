// Not quick: runs processes of the version before.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestDatabase } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { makeEngineBefore } from '../../src/upgrade/engineBefore.ts'
import { runUpgrade } from '../../src/upgrade/runUpgrade.ts'

it('accounts for all that processes of 0.2 have left, and does it', async () => {
  const database = await createTestDatabase({ migrated: false })
  const folder = await mkdtemp(join(tmpdir(), 'before-'))
  try {
    const { findings, done } = await runUpgrade({
      databaseUrl: database.url,
      before: await makeEngineBefore(folder),
      size: { waiting: 300, delayed: 10, dead: 5, runs: 1_000 },
      onProgress: () => undefined,
    })
    expect(findings).toEqual([])
    expect(done).toBe(320)
  } finally {
    await rm(folder, { recursive: true, force: true })
    await database.drop()
  }
})
