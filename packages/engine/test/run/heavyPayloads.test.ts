// Processes: workers that may hold little memory.
import { randomBytes } from 'node:crypto'
import { spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { crowd, HEAVY_BYTES, HEAVY_COUNT, heavy, light } from '../fixtures/heavy.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const WORKER = new URL('../fixtures/heavyProcess.ts', import.meta.url).pathname

const { runtime, client } = useClientRuntime()

it(
  'payloads of which a worker can hold only a part are taken in parts, beside the work of others',
  { timeout: 180_000 },
  async () => {
    await runtime.clear()
    for (let n = 0; n < HEAVY_COUNT; n++) {
      // In the table it is a hundredth as long.
      await client.enqueueNow(heavy, { text: 'x'.repeat(HEAVY_BYTES) })
    }
    await client.enqueueManyNow(
      light,
      Array.from({ length: HEAVY_COUNT }, () => ({ payload: {} })),
    )
    await expectToSucceed(new Map([heavy, light].map(({ name }) => [name, HEAVY_COUNT])))
  },
)

it(
  'payloads of which a worker can hold only a part are taken in parts by many lanes together',
  { timeout: 180_000 },
  async () => {
    await runtime.clear()
    const OF_EACH = 6
    for (const job of crowd) {
      for (let n = 0; n < OF_EACH; n++) {
        const text = randomBytes(HEAVY_BYTES / 2).toString('hex')
        await client.enqueueNow(job, { text })
      }
    }
    await expectToSucceed(new Map(crowd.map(({ name }) => [name, OF_EACH])))
  },
)

/** A worker that may hold little carries out so many runs of each job. */
async function expectToSucceed(counts: ReadonlyMap<string, number>): Promise<void> {
  const worker = spawnProcess(WORKER, {
    args: [runtime.url],
    env: { NODE_OPTIONS: '--max-old-space-size=96' },
  })
  let exit: unknown = null
  void worker.exited.then((how) => (exit = how))
  const expected = [...counts].map(([name, count]) => ({ name, status: 'success', count }))
  const total = expected.reduce((sum, { count }) => sum + count, 0)
  const ends = () =>
    runtime.rows<{ name: string; status: string; count: number }>(
      `select "name", "status"::text as "status", count(*)::int as "count" from "JobRunAll" group by 1, 2 order by 1, 2`,
    )
  await waitFor(
    async () => {
      if (exit !== null) return true
      const rows = await ends()
      return (
        rows.every(({ status }) => status === 'success') &&
        rows.reduce((sum, row) => sum + row.count, 0) === total
      )
    },
    { timeoutMs: 150_000, message: 'all have succeeded' },
  )
  expect(exit).toBe(null)
  expect(await ends()).toEqual(expected.toSorted((one, other) => (one.name < other.name ? -1 : 1)))
  await worker.kill('SIGKILL')
}
