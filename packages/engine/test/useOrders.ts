import { openForTests, waitFor } from '@roundsman/testing'
import { beforeAll, beforeEach, expect } from 'vitest'
import { createWorker } from '../src/worker.ts'
import { CREATE_ORDERS, orderHandlers, orders } from './fixtures/orders.ts'
import { createPlainClient } from './fixtures/plainClient.ts'
import { useClientRuntime } from './useClientRuntime.ts'

/** Has the tables of orders, a client, and a worker that ends what killed workers have left. */
export function useOrders() {
  const { runtime, client } = useClientRuntime({ cleared: [] })
  const plain = openForTests(async () => {
    const opened = createPlainClient(runtime.url, runtime.log)
    return { ...opened, close: opened.$disconnect }
  })
  beforeAll(() => runtime.rows(CREATE_ORDERS))
  beforeEach(() => runtime.rows('truncate "Call", "Charge", "Booking"'))

  /** Ends all work. Each of the orders must then have each effect once, and a step that was called again its first key. */
  async function settleOrders(count: number): Promise<void> {
    const survivor = createWorker({
      ...{ ...runtime.workerOptions, client: plain, jobs: orders, handlers: orderHandlers(plain) },
    })
    await survivor.start()
    const ended = () =>
      runtime.value<number>(`select count(*)::int from "JobRun" where "status" = 'success'`)
    await waitFor(async () => (await ended()) === count, { timeoutMs: 120_000 })
    await survivor.stop()

    const each = `from generate_series(0, ${count - 1}) one(n)`
    for (const table of ['Booking', 'Charge'])
      expect(
        await runtime.column(`select n from "${table}" group by n having count(*) <> 1`),
      ).toEqual([])
    for (const table of ['Booking', 'Charge', 'Call'])
      expect(
        await runtime.column(`select n ${each} where n not in (select n from "${table}")`),
      ).toEqual([])
    expect(
      await runtime.column('select n from "Call" group by n, step having count(distinct key) > 1'),
    ).toEqual([])
    expect(
      await runtime.rows(
        `select count(distinct "workId")::int as work, count(*)::int as steps, count(*) filter (where "endedAt" is null)::int as open from "JobStep"`,
      ),
    ).toEqual([{ work: count, steps: 5 * count, open: 0 }])
    expect(await runtime.value('select count(*)::int from "JobDeadLetter"')).toBe(0)
    // Each run is one of its work.
    expect(await runtime.value('select count(distinct "workId")::int from "JobRun"')).toBe(count)
  }

  return { runtime, client, settleOrders }
}
