// Not quick: has work fail at a dozen moments.
import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, JobError, type HandlersFor } from '../../src/index.ts'
import {
  chooseDeadLetters,
  countLettersOfRuns,
  listDeadLetterCodes,
  listDeadLetters,
} from '../../src/read/listDeadLetters.ts'
import { openTestJobs } from '../../src/testing.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

/** Fails as its payload says. */
const payload = z.strictObject({ code: z.string(), message: z.string() })
const parcel = defineJob({ name: 'parcel', payload })
const letter = defineJob({ name: 'letter', payload })
const stubborn = defineJob({
  name: 'stubborn',
  retry: { limit: 2, delayMs: 1_000 },
})
const purge = defineJob({
  name: 'purge',
  isDestructive: true,
  guard: { maxRows: 1 },
})
const jobs = [parcel, letter, stubborn, purge] as const

const fail = async ({
  payload: { code, message },
}: {
  payload: { code: string; message: string }
}) => {
  if (code !== 'none') throw new JobError(code, message, { retryable: false })
}
const handlers: HandlersFor<typeof jobs, PlainTransaction> = {
  parcel: fail,
  letter: fail,
  stubborn: async () => {
    throw new Error('again')
  },
  purge: async ({ guard }) => await guard({ total: async () => 9, due: async () => 9 }),
}

const START = new Date('2031-03-04T05:06:07.000Z')
const HOUR_MS = 3_600_000
const at = (hours: number) => new Date(START.getTime() + hours * HOUR_MS)

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({ databaseUrl: database.url, client, jobs, handlers, now: START }),
)

beforeEach(() => test.reset())

/** Enqueues in this order what fails after so many hours, and has it do so. */
async function failAfter(
  work: { job?: typeof parcel | typeof letter; hours: number; code: string; message: string }[],
): Promise<void> {
  for (const { job = parcel, hours, ...its } of work)
    await test.enqueueNow(job, its, { startAfter: at(hours) })
  for (const { hours } of work.toSorted((a, b) => a.hours - b.hours)) {
    await test.advance(at(hours))
    await test.drain()
  }
}

const SEVEN = [
  { hours: 3, code: 'x', message: 'third' },
  { hours: 1, code: 'x', message: 'first' },
  { hours: 2, code: 'x', message: 'second' },
  { hours: 4, code: 'y', message: 'later y' },
  { hours: 1.5, code: 'y', message: 'earlier y' },
  { hours: 2.5, code: 'z', message: 'earlier z' },
  { hours: 5, code: 'z', message: 'later z' },
]
const IN_ORDER = ['later z', 'later y', 'third', 'earlier z', 'second', 'earlier y', 'first']

describe('of dead letters that failed in another order than they were enqueued', () => {
  beforeEach(() => failAfter(SEVEN))

  it('the latest is listed first, page by page, of all and of a job', async () => {
    const listed: string[] = []
    const name = parcel.name
    for (let after = undefined as { at: string; id: string } | undefined; ;) {
      const { deadLetters, next } = await listDeadLetters(test.reader, { limit: 2, after })
      const ofJob = await listDeadLetters(test.reader, { limit: 2, after, name })
      expect(ofJob).toEqual({ deadLetters, next })
      listed.push(...deadLetters.map(({ error }) => error.message))
      if (next === null) break
      after = next
    }
    expect(listed).toEqual(IN_ORDER)
    const others = await listDeadLetters(test.reader, { limit: 2, name: letter.name })
    expect(others).toEqual({ deadLetters: [], next: null })
  })

  it('the latest is chosen first, and those of runs are counted', async () => {
    const { deadLetters } = await listDeadLetters(test.reader, { limit: 50 })
    const ids = deadLetters.map(({ workId }) => workId)
    const chosen = await chooseDeadLetters(test.reader, { limit: 3 }, null)
    expect(chosen.map(({ id }) => id)).toEqual(ids.slice(0, 3))
    expect(await countLettersOfRuns(test.reader, {})).toEqual({ count: 7, isCut: false })
  })

  it('each code says how many, from when to when', async () => {
    const said = (code: string, count: number, [first, last]: [number, number]) => ({
      code,
      count,
      firstAt: at(first).toISOString(),
      lastAt: at(last).toISOString(),
      isCut: false,
    })
    const iso = <Each extends { firstAt: string; lastAt: string }>(each: Each) => ({
      ...each,
      firstAt: new Date(each.firstAt).toISOString(),
      lastAt: new Date(each.lastAt).toISOString(),
    })
    const ofX = said('x', 3, [1, 3])
    const ofY = said('y', 2, [1.5, 4])
    const ofZ = said('z', 2, [2.5, 5])
    // Of two that are as frequent, the one with the latest.
    expect((await listDeadLetterCodes(test.reader)).map(iso)).toEqual([ofX, ofZ, ofY])
  })
})

it('a dead letter leads to the last of its attempts', async () => {
  await test.enqueueNow(stubborn, {})
  const ids: string[] = []
  for (let attempt = 1; attempt <= 3; attempt++) {
    ids.push(...(await test.drain()).map(({ id }) => id))
    await test.advance(HOUR_MS)
  }
  const { deadLetters } = await listDeadLetters(test.reader, { limit: 50 })
  expect(deadLetters).toMatchObject([{ attempts: 3, runId: ids[2] }])
})

it('beyond the bound the oldest are left out', async () => {
  const letters = `
    insert into "${test.schema}"."JobDeadLetter" ("id", "name", "bytes", "payload", "failedAt", "errorCode", "errorMessage")
    select gen_random_uuid(), 'parcel', 2, '{}', $1::timestamptz - n * interval '1 s',
      case when n = 10001 then 'oldest' else 'younger' end, ''
    from generate_series(1, 10001) n returning "id"::text`
  const ids = (await client.$queryRawUnsafe<{ id: string }[]>(letters, START)).map(({ id }) => id)
  for (const id of [ids[0], ids[10_000]]) {
    await client.$executeRawUnsafe(
      `insert into "${test.schema}"."JobRun" ("id", "name", "trigger", "workerId", "workId")
       values (gen_random_uuid(), 'parcel', 'queue', 'w', $1::uuid)`,
      id,
    )
  }
  expect(await countLettersOfRuns(test.reader, {})).toEqual({ count: 1, isCut: true })
})
