// Processes: kills workers.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { isUnknowable, pay } from '../fixtures/charges.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

/** 10,000 in a long run. Each is interrupted once. */
const CHARGES = Number(process.env['CHARGES'] ?? 30)
const AT_ONCE = Math.min(400, Math.ceil(CHARGES / 3))

const fixture = (name: string) => new URL(`../fixtures/${name}.ts`, import.meta.url).pathname
const by = { actor: 'olga@example.com', reason: 'asked the service' }
const { runtime, client } = useClientRuntime({ cleared: [] })

it('a service without idempotency keys charges each order once, whenever workers are killed within the call, and each doubt shows', async () => {
  const provider = spawnProcess(fixture('providerProcess'))
  const port = (await provider.waitForLine('port ')).slice(5)
  const service = `http://127.0.0.1:${port}`
  const read = async () =>
    (await (await fetch(`${service}/charges`)).json()) as {
      endless: number
      charges: [string, number][]
    }
  const startWorker = () =>
    spawnProcess(fixture('chargesProcess'), { args: [runtime.url, service, String(AT_ONCE)] })
  await client.enqueueManyNow(
    pay,
    Array.from({ length: CHARGES }, (_, order) => ({ payload: { order } })),
  )

  let worker = startWorker()
  for (let left = CHARGES; left > 0;) {
    const most = Math.min(left, AT_ONCE)
    await waitFor(async () => (await read()).endless === most, { timeoutMs: 120_000 })
    await worker.kill('SIGKILL')
    await fetch(`${service}/calls`, { method: 'DELETE' })
    left -= most
    worker = startWorker()
  }

  const inDoubt = () =>
    runtime.rows<{ workId: string; order: number }>(
      `select step."workId"::text as "workId", (work."payload" ->> 'order')::int as "order"
       from "JobStep" step join "JobWork" work on work."id" = step."workId" where step."doubtSince" is not null`,
    )
  const unknowable = Array.from({ length: CHARGES }, (_, order) => order).filter(isUnknowable)
  const ended = () =>
    runtime.value<number>(`select count(*)::int from "JobRun" where "status" = 'success'`)
  await waitFor(async () => (await ended()) === CHARGES - unknowable.length, { timeoutMs: 300_000 })
  await waitFor(async () => (await inDoubt()).length === unknowable.length)
  const doubts = await inDoubt()
  expect(doubts.map(({ order }) => order).toSorted((a, b) => a - b)).toEqual(unknowable)
  const charged = new Map((await read()).charges)
  for (const { workId, order } of doubts) {
    const found = await client.explain(workId)
    expect(found?.reasons).toContainEqual(expect.objectContaining({ kind: 'inDoubt' }))
    const happened = charged.has(String(order))
    const answer = { ...by, happened, ...(happened && { result: { order } }) }
    expect(await client.answerDoubt({ workId, step: 'charge' }, answer)).toBe('answered')
  }

  await waitFor(async () => (await ended()) === CHARGES, { timeoutMs: 120_000 })
  await worker.kill('SIGKILL')
  const { charges } = await read()
  await provider.kill()
  expect(charges.filter(([, times]) => times !== 1)).toEqual([])
  expect(charges).toHaveLength(CHARGES)
  expect(await runtime.value('select count(*)::int from "JobDeadLetter"')).toBe(0)
}, 3_600_000)
