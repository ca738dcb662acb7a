// Processes: kills workers.
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { order } from '../fixtures/orders.ts'
import { useOrders } from '../useOrders.ts'

const WORKER = new URL('../fixtures/ordersProcess.ts', import.meta.url).pathname
const WORK = 60
const KILLS = 9

const { runtime, client, settleOrders } = useOrders()

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
  await settleOrders(WORK)
  // What kills have interrupted shows: there is something to survive.
  const losses = await runtime.value<number>(
    `select count(*)::int from "JobRun" where "errorCode" = 'worker_lost'`,
  )
  expect(losses).toBeGreaterThan(0)
}, 180_000)

/** All of them: `STATEMENTS=all`. */
const MOMENTS = Number(process.env['STATEMENTS'] ?? 8) || Infinity

it('workers that are SIGKILLed before and after each statement do no step with a memo again, book once, and charge once', async () => {
  const WORKER_TO_KILL = new URL('../fixtures/statementKillsProcess.ts', import.meta.url).pathname
  const start = (...args: string[]) =>
    spawnProcess(WORKER_TO_KILL, { args: [runtime.url, ...args] })
  const ended = () =>
    runtime.value<number>(`select count(*)::int from "JobRun" where "status" = 'success'`)
  let work = 0
  const enqueue = () => client.enqueueNow(order, { n: work++ })

  const recorder = start()
  await recorder.waitForLine('Jobs scheduler enabled')
  await enqueue()
  await waitFor(async () => (await ended()) === 1)
  await recorder.kill('SIGKILL')
  const keys = recorder.stdout.flatMap((line) =>
    line.startsWith('statement ') ? [JSON.parse(line.slice(10)) as string] : [],
  )
  for (const needed of ['roundsman_load_steps', 'roundsman_keep_memos', 'commit'])
    expect(keys).toContain(needed)
  const moments = keys.flatMap(
    (key) =>
      [
        ['before', key],
        ['after', key],
      ] as const,
  )
  const every = Math.max(1, Math.floor(moments.length / MOMENTS))
  let killed = 0
  for (const [moment, key] of moments.filter((_, at) => at % every === 0)) {
    await enqueue()
    const victim = start(moment, key)
    // Some are sent now and then.
    const isOver = waitFor(async () => (await ended()) === work, { timeoutMs: 20_000 })
    await Promise.race([victim.exited, isOver.catch(() => undefined)])
    const { signal } = await victim.kill('SIGKILL')
    if (signal === 'SIGKILL') killed++
  }
  expect(killed).toBeGreaterThan(0)
  await settleOrders(work)
}, 900_000)
