// Not quick: waits until connections that say nothing are given up.
import { createTestDatabase } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { runNetworks } from '../../src/hostile/runNetworks.ts'

it.for([1, 2])(
  'a worker and a client live with networks that are slow, silent and cut, as seed %i draws them',
  { timeout: 180_000 },
  async (seed, { signal }) => {
    const database = await createTestDatabase({ migrated: false })
    onTestFinished(() => database.drop())
    const { problems, steps } = await runNetworks(
      { seed, steps: 4 },
      { databaseUrl: database.url, signal },
    )
    expect(problems, steps.join('\n')).toEqual([])
  },
)
