// Not quick: uses up attempts in many orders.
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { listDeadLetters } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { claimWork, settleClaims } from '../../src/store/claimWork.ts'
import { expireSeconds } from '../../src/store/expireSeconds.ts'
import type { AfterFailure } from '../../src/store/queue.ts'
import { openTestQueue, toTestWork, type TestQueue, type TestWork } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const LIMIT = 2
const parcel = defineJob({
  name: 'parcel',
  description: '',
  timeoutMs: 10_001,
  retry: { limit: LIMIT },
})
const letter = defineJob({ name: 'letter', description: '', timeoutMs: 60_000 })

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel, letter])
  opened = await openTestQueue(runtime, [parcel, letter])
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.clear('JobAction')
})

const enqueue = (job: typeof parcel | typeof letter = parcel) =>
  runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
const fail = async (work: TestWork, next: AfterFailure) => {
  await runtime.database.transaction((tx) =>
    opened.queue.fail(tx, [work], { code: 'flaky', message: '' }, next),
  )
  await runtime.rows(
    `update "JobRun" set "status" = 'failed', "errorCode" = 'flaky', "endedAt" = now() where "id" = $1`,
    [work.runId],
  )
  await runtime.rows(`update pgboss.job set start_after = now() where state = 'retry'`)
}
const claim = (jobs: { name: string; expireSeconds?: number; hasBacklog?: boolean }[]) =>
  claimWork(runtime.database, {
    workerId: 'w1',
    requests: jobs.map((job) => ({
      claimId: crypto.randomUUID(),
      limit: 10,
      exclusiveKey: null,
      ...job,
    })),
    startedAt: new Date(),
    hasFreshRunIds: false,
  })

describe('attempts', () => {
  it('are used up by failures alone, whatever is redelivered or redriven in between', async () => {
    const ends = fc.array(fc.constantFrom<AfterFailure>('retry', 'redeliver', 'giveUp'), {
      minLength: 1,
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(ends, async (sequence) => {
        await runtime.clear()
        await enqueue()
        let retriesLeft = LIMIT
        for (const [index, next] of sequence.entries()) {
          const [work] = await opened.take('parcel')
          expect(work).toMatchObject({ attempt: index + 1, retriesLeft })
          await fail(work!, next)
          const isOver = next === 'giveUp' || (next === 'retry' && retriesLeft === 0)
          const { deadLetters } = await listDeadLetters(runtime.reader, { limit: 1 })
          expect(deadLetters).toHaveLength(isOver ? 1 : 0)
          if (next === 'retry') retriesLeft--
          if (!isOver) continue
          const by = { actor: 'tests', reason: 'mended' }
          await opened.client.redriveDeadLetters(null, 'all', by)
          retriesLeft = LIMIT
        }
      }),
      { numRuns: 40 },
    )
  })

  it.each(['"many"', '{}', '[1]', 'null', 'true', '2.5', '-3', '1e30', '"7"'])(
    'are counted as lost, and kept from others, where somebody has written %s for the count',
    async (count) => {
      await enqueue()
      const [work] = await opened.take('parcel')
      await runtime.rows(
        `update pgboss.job set retry_limit = 2147483647,
           data = data || jsonb_build_object('lost', $1::jsonb, 'lostAlone', $1::jsonb)`,
        [count],
      )
      await fail(work!, 'lost')
      await fail((await opened.take('parcel'))[0]!, 'lostAlone')
      const [third] = await opened.take('parcel')
      expect(third).toMatchObject({ attempt: 3, envelope: { lost: 2, lostAlone: 1 } })
      await fail(third!, 'redeliver')
      expect(await opened.take('parcel')).toMatchObject([{ attempt: 4 }])
    },
  )

  it('are of the instant that their schedule named, on every day there is, and of none else', async () => {
    const put = (instants: string) =>
      runtime.rows(
        `insert into pgboss.job (name, data) select 'parcel', jsonb_build_object(
           'payload', '{}'::jsonb, 'trigger', 'schedule', 'scheduledFor', instant) from (${instants}) i(instant)`,
      )
    // 2000 had a leap day, and 1900 had none.
    for (const from of ['1999-06-01', '1900-02-01'])
      await put(`select to_char(day, 'YYYY-MM-DD"T23:59:59.999Z"')
        from generate_series('${from} 00:00Z'::timestamptz, '${from} 00:00Z'::timestamptz + '500 days', '1 day') day`)
    const none = [
      '2026-02-31',
      '1900-02-29',
      '2026-04-31',
      '2026-13-01',
      '2026-00-10',
      '2026-01-00',
    ]
    const texts = [...none.map((day) => `${day}T00:00:00.000Z`), '2026-01-01T24:00:00.001Z']
    await put(`values ${texts.map((text) => `('${text}')`).join(', ')}`)
    expect(await opened.take('parcel', 2_000)).toHaveLength(1_002 + texts.length)
    expect(
      await runtime.rows(
        `select count(*)::int as dated, count(distinct "scheduledFor")::int as days
         from "JobRun" join pgboss.job on job.id = "workId"
         where case when "scheduledFor" is not null then "scheduledFor" = (data ->> 'scheduledFor')::timestamptz end`,
      ),
    ).toEqual([{ dated: 1_002, days: 1_002 }])
    expect(await runtime.rows(`select count("scheduledFor")::int as dated from "JobRun"`)).toEqual([
      { dated: 1_002 },
    ])
  })

  it('say how many are left, also where the answer to their claim never came', async () => {
    await enqueue()
    await fail((await opened.take('parcel'))[0]!, 'retry')
    const [work] = await opened.take('parcel')
    const { claimId } = work!

    const found = await settleClaims(runtime.database, 'w1', [
      { claimId, name: 'parcel', limit: 1, exclusiveKey: null },
    ])
    expect(found.map(toTestWork)).toMatchObject([{ attempt: 2, retriesLeft: LIMIT - 1 }])
  })

  it('may take as long as the job says when they are taken, and two minutes', async () => {
    const readExpiry = async () =>
      (
        await runtime.rows<{ name: string; seconds: number }>(
          'select name, expire_seconds as seconds from pgboss.job order by name',
        )
      ).map(({ name, seconds }) => `${name} ${seconds}`)
    await enqueue()
    await enqueue(letter)
    expect(await readExpiry()).toEqual(['letter 180', 'parcel 131'])
    const longer = { name: 'parcel', expireSeconds: expireSeconds({ timeoutMs: 7_200_000 }) }
    await claim([longer, { name: 'letter' }])
    expect(await readExpiry()).toEqual(['letter 180', 'parcel 7320'])

    for (const hasBacklog of [false, true]) {
      await runtime.clear()
      await enqueue()
      await claim([{ ...longer, hasBacklog }])
      expect(await readExpiry()).toEqual(['parcel 7320'])
    }
  })
})
