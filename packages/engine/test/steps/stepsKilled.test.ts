// Processes: kills workers.
import { openForTests, spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { beforeAll, expect, it } from 'vitest'
import { createWorker } from '../../src/worker.ts'
import { CREATE_ORDERS, order, orderHandlers, orders } from '../fixtures/orders.ts'
import { createPlainClient } from '../fixtures/plainClient.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const WORKER = new URL('../fixtures/ordersProcess.ts', import.meta.url).pathname
const WORK = 60
const KILLS = 9

const { runtime, client } = useClientRuntime()
const plain = openForTests(async () => {
  const opened = createPlainClient(runtime.url, runtime.log)
  return { ...opened, close: opened.$disconnect }
})

beforeAll(() => runtime.rows(CREATE_ORDERS))

const startVictim = async (): Promise<SpawnedProcess> => {
  const victim = spawnProcess(WORKER, { args: [runtime.url] })
  await victim.waitForLine('Jobs scheduler enabled')
  return victim
}

it('workers that are SIGKILLed at any moment do no step with a memo again, book once, and charge once', async () => {
  let victim = await startVictim()
  await client.enqueueManyNow(
    order,
    Array.from({ length: WORK }, (_, n) => ({ payload: { n } })),
  )
  const memos = (step: string) =>
    `(select count(*) from "JobStep" where "name" = '${step}' and "endedAt" is not null)`
  const moments = [
    `(select count(*) from "Charge") > ${memos('charge')}`,
    `(select count(*) from "Call" where step = 'reserve') > ${memos('reserve')}`,
    `exists (select from pg_locks where relation = '"Booking"'::regclass and mode = 'RowExclusiveLock')`,
  ]
  for (let kills = 0; kills < KILLS; kills++) {
    // Between an effect and its memo. At the end there may be none left.
    const moment = `select ${moments[kills % moments.length]} or ${memos('mail')} = ${WORK}`
    await waitFor(() => runtime.value<boolean>(moment), { timeoutMs: 30_000 })
    await victim.kill('SIGKILL')
    victim = await startVictim()
  }
  await victim.kill('SIGKILL')
  const { workerOptions } = runtime
  const survivor = createWorker({
    ...{ ...workerOptions, client: plain, jobs: orders, handlers: orderHandlers(plain) },
  })
  await survivor.start()
  const ended = () =>
    runtime.value<number>(`select count(*)::int from "JobRun" where "status" = 'success'`)
  await waitFor(async () => (await ended()) === WORK, { timeoutMs: 80_000 })
  await survivor.stop()

  const each = `from generate_series(0, ${WORK - 1}) one(n)`
  expect(
    await runtime.column(`select count(*)::int from "Booking" group by n having count(*) <> 1`),
  ).toEqual([])
  expect(
    await runtime.column(`select count(*)::int from "Charge" group by n having count(*) <> 1`),
  ).toEqual([])
  for (const table of ['Booking', 'Charge', 'Call'])
    expect(
      await runtime.column(`select n ${each} where n not in (select n from "${table}")`),
    ).toEqual([])
  // A step that is called again has the key that it had.
  expect(
    await runtime.column('select n from "Call" group by n, step having count(distinct key) > 1'),
  ).toEqual([])
  expect(
    await runtime.rows(
      `select count(distinct "workId")::int as work, count(*)::int as steps, count(*) filter (where "endedAt" is null)::int as open from "JobStep"`,
    ),
  ).toEqual([{ work: WORK, steps: 5 * WORK, open: 0 }])
  expect(await runtime.value('select count(*)::int from "JobDeadLetter"')).toBe(0)
  // Each run is one of its work.
  expect(await runtime.value('select count(distinct "workId")::int from "JobRun"')).toBe(WORK)
  // What kills have interrupted shows: there is something to survive.
  const losses = await runtime.value<number>(
    `select count(*)::int from "JobRun" where "errorCode" = 'worker_lost'`,
  )
  expect(losses).toBeGreaterThan(0)
}, 180_000)
