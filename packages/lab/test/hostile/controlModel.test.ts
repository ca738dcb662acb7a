// Not quick: draws what people do to dozens of pieces of work.
import { createTestDatabase } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { tryControls } from '../../src/hostile/controlModel.ts'

it('whatever people and programs do to work with a guard, in any order, no run removes more than it may, or has another payload', async ({
  signal,
}) => {
  const { url: databaseUrl, drop } = await createTestDatabase({ migrated: false })
  onTestFinished(drop)
  await expect(tryControls({ seed: 1, count: 25 }, { databaseUrl, signal })).resolves.toMatchObject(
    { problems: [] },
  )
})
