// Not quick: uses up attempts in many orders.
import fc from 'fast-check'
import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { listDeadLetters } from '../../src/client.ts'
import { defineJob, type Job } from '../../src/index.ts'
import type { AfterFailure } from '../../src/run/afterFailure.ts'
import type { Database } from '../../src/database/database.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { describeRun } from '../../src/run/executeRun.ts'
import { countRetriesLeft } from '../../src/queue/taken.ts'
import { openTestQueue, toTestWork, type TestWork } from '../openTestQueue.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { interceptQueries, isClaim } from '../interceptQueries.ts'

const LIMIT = 2
const parcel = defineJob({
  name: 'parcel',
  timeoutMs: 10_001,
  retry: { limit: LIMIT },
})
const letter = defineJob({ name: 'letter', timeoutMs: 60_000 })
const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS
/** As patient as a job may be. */
const patient = defineJob({
  name: 'patient',
  timeoutMs: 86_280_000,
  retry: { limit: 1_000_000, delayMs: YEAR_MS, maxDelayMs: YEAR_MS },
  rateLimit: { limit: 1, perMs: YEAR_MS },
})

const runtime = useTestRuntime({ cleared: ['JobAction'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel, letter, patient]))

const enqueue = (job: Job = parcel) =>
  runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
/** Its next attempt is due at once. */
const fail = async (work: TestWork, next: AfterFailure) => {
  await opened.fail([work], { code: 'flaky', message: '' }, next)
  await runtime.rows(`update "JobWork" set "dueAt" = now() - interval '1 second'`)
}
const openClaimer = (database: Database): Claimer =>
  createClaimer({ database, workerId: 'w1', now: () => new Date() })

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
          expect(work).toMatchObject({ attempt: index + 1 })
          expect(countRetriesLeft(work!, parcel)).toBe(retriesLeft)
          await fail(work!, next)
          const isOver = next === 'giveUp' || (next === 'retry' && retriesLeft === 0)
          const { deadLetters } = await listDeadLetters(runtime.reader, { limit: 1 })
          expect(deadLetters).toHaveLength(isOver ? 1 : 0)
          if (next === 'retry') retriesLeft--
          if (!isOver) continue
          const by = { actor: 'tests', reason: 'mended' }
          await opened.client.redriveDeadLetters('all', by)
          retriesLeft = LIMIT
        }
      }),
      { numRuns: 40 },
    )
  })

  it('count every loss of a worker, and those while nothing else ran there', async () => {
    const claimer = openClaimer(runtime.database)
    const takeAny = async () => {
      const [work] = await opened.take('parcel')
      return work ?? (await claimer.claimSuspect(parcel)).work.map(toTestWork)[0]
    }
    await enqueue()
    const ends: AfterFailure[] = ['lost', 'lostAlone', 'redeliver']
    for (const next of ends) await fail((await takeAny())!, next)
    expect(await takeAny()).toMatchObject({ attempt: 4, losses: 2, lossesAlone: 1, failures: 0 })
  })

  it('are of the instant that their schedule named, on every day there is', async () => {
    // 2000 had a leap day, and 1900 had none.
    for (const from of ['1999-06-01', '1900-02-01'])
      await runtime.rows(
        `insert into "JobWork" ("id", "name", "bytes", "payload", "facts")
         select gen_random_uuid(), 'parcel', 2, '{}', jsonb_build_object('trigger', 'schedule',
           'scheduledFor', to_char(day, 'YYYY-MM-DD"T23:59:59.999Z"'))
         from generate_series('${from} 00:00Z'::timestamptz, '${from} 00:00Z'::timestamptz + '500 days', '1 day') day`,
      )
    const enqueued = await runtime.rows<{ id: string; instant: string }>(
      `select "id", "facts" ->> 'scheduledFor' as instant from "JobWork" order by 1`,
    )
    const work = await opened.take('parcel', 2_000)
    const recorded = (table: string) =>
      runtime.rows<{ id: string; instant: Date }>(
        `select "workId" as id, "scheduledFor" as instant from "${table}" order by 1`,
      )
    const expected = enqueued.map(({ id, instant }) => ({ id, instant: new Date(instant) }))
    expect(expected).toHaveLength(1_002)
    expect(await recorded('JobRunAll')).toEqual(expected)
    await opened.complete(work)
    expect(await recorded('JobRun')).toEqual(expected)
    const scheduled = work.map((taken) => {
      const { scheduledFor } = describeRun({ taken, retriesLeft: 0 })
      return [taken.workId, scheduledFor]
    })
    expect(new Map(scheduled as [string, Date][])).toEqual(
      new Map(expected.map(({ id, instant }) => [id, instant])),
    )
  })

  it('say how many are left, also where the answer to their claim never came', async () => {
    await enqueue()
    await fail((await opened.take('parcel'))[0]!, 'retry')
    await placeDue(runtime.database, ['parcel'])
    const losing = interceptQueries(runtime.database, async (carryOut, statement) => {
      const answer = await carryOut()
      if (isClaim(statement)) throw new Error('connection lost')
      return answer
    })
    const { work } = await openClaimer(losing).claim(parcel, 1)
    expect(work).toMatchObject([{ attempt: 2 }])
    expect(countRetriesLeft(work[0]!, parcel)).toBe(LIMIT - 1)
  })

  it('wait and last as long as a job may say at most', async () => {
    const limits = await registeredLimits(runtime, [patient])
    await enqueue(patient)
    const of = { database: runtime.database, workerId: 'w1', now: () => new Date(), limits }
    const claimer = createClaimer(of)
    const { work } = await claimer.claim(patient, 1)
    expect(countRetriesLeft(work[0]!, patient)).toBe(1_000_000)
    await enqueue(patient)
    const { freeInMs } = await claimer.claim(patient, 1)
    // A lane looks again after a day.
    expect(freeInMs).toBeGreaterThan(DAY_MS - 60_000)
    expect(freeInMs).toBeLessThanOrEqual(DAY_MS)
    await opened.fail(work.map(toTestWork), { code: 'flaky', message: '' }, 'retry')
    const days = `select extract(epoch from "dueAt" - now()) / 86400 as days from "JobWork" where "attempt" = 2`
    expect(Math.round(Number(await runtime.value(days)))).toBe(365)
  })

  it('may take as long as the job says when they are taken, and two minutes', async () => {
    const claimer = openClaimer(runtime.database)
    const expiryOf = async (job: Job, hasBacklog = false) => {
      await runtime.clear()
      await enqueue(job)
      await claimer.claim(job, 10, { hasBacklog })
      return await runtime.rows(
        `select extract(epoch from "expiresAt" - "createdAt")::float8 as seconds from "JobClaim"`,
      )
    }
    expect(await expiryOf(parcel)).toEqual([{ seconds: 131 }])
    expect(await expiryOf(letter)).toEqual([{ seconds: 180 }])
    expect(await expiryOf(patient)).toEqual([{ seconds: 86_400 }])
    const longer = { ...parcel, timeoutMs: 7_200_000 }
    for (const hasBacklog of [false, true])
      expect(await expiryOf(longer, hasBacklog)).toEqual([{ seconds: 7_320 }])
  })
})
