import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { readRound } from '../../src/liveness/rounds.ts'
import { openClientRuntime } from '../openClientRuntime.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

const now = defineJob({ name: 'now', description: '' })
const later = defineJob({ name: 'later', description: '' })

let runtime: TestRuntime
let client: JobsClient

beforeAll(async () => {
  ;({ runtime, client } = await openClientRuntime([now, later]))
})

afterAll(() => runtime.close())

beforeEach(() => runtime.rows('truncate pgboss.job, "JobRun", "JobClaim", "JobStart", "JobWorker"'))

const look = (names: string[] = []) => readRound(runtime.database, 'w1', names)
const signUp = (secondsAgo: number) =>
  runtime.rows(
    `insert into "JobWorker" ("id", "liveness", "heartbeatAt")
     values ('w1', 'lock', now() - $1 * interval '1 second')`,
    [secondsAgo],
  )
const lastBeat = async () =>
  (await runtime.rows<{ at: Date }>(`select "heartbeatAt" as at from "JobWorker"`))[0]?.at

describe('readRound', () => {
  it('names the jobs with work that can be taken, of those that are asked for', async () => {
    const startAfter = new Date(Date.now() + 3_600_000)
    await runtime.prisma.$transaction(async (tx) => {
      await client.enqueue(tx, now, {})
      await client.enqueue(tx, now, {})
      await client.enqueue(tx, later, {}, { startAfter })
    })
    expect(await look(['now', 'later'])).toMatchObject({ lost: [], ready: ['now'] })
    expect(await look(['later'])).toMatchObject({ lost: [], ready: [] })
  })

  it('finds what workers hold that are gone, and not its own', async () => {
    const [lost] = await runtime.rows<{ id: string }>(
      `insert into "JobClaim" ("id", "name", "workerId", "runIds")
       values (gen_random_uuid(), 'now', 'gone', '{}'), (gen_random_uuid(), 'now', 'w1', '{}')
       returning "id"`,
    )
    expect((await look()).lost).toEqual([{ ...lost, name: 'now' }])
  })

  it('says whether anything is held, since an idle worker has nothing else to ask', async () => {
    expect((await look()).isIdle).toBe(true)
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "runIds") values (gen_random_uuid(), 'now', 'w1', '{}')`,
    )
    expect((await look()).isIdle).toBe(false)
    await runtime.rows('delete from "JobClaim"')
    await runtime.rows(
      `insert into "JobStart" ("id", "name", "workerId", "startedAt", "retryLimit", "runIds")
       values (gen_random_uuid(), 'now', 'w1', now(), 0, '{}')`,
    )
    expect((await look()).isIdle).toBe(false)
  })

  it('gives a sign of life when the last one is old', async () => {
    await signUp(6)
    const before = await lastBeat()
    await look()
    expect((await lastBeat())?.getTime()).toBeGreaterThan((before?.getTime() ?? NaN) + 5_000)
  })

  it('writes nothing while the last one is young', async () => {
    await signUp(1)
    const before = await lastBeat()
    await look()
    expect(await lastBeat()).toEqual(before)
  })
})
