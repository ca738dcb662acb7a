// Not quick: each drawn run is a process's own, with a session.
import { cleanupI18nCache } from '@roundsman/jobs'
import { runOnce } from '@roundsman/engine/worker'
import fc from 'fast-check'
import { pino } from 'pino'
import { emptyTables, openForTests } from '@roundsman/testing'
import { beforeEach, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

const api = openForTests(createTestApi)

beforeEach(() => emptyTables(api.prisma, '"JobRun", "JobClaim"'))

async function get(url: string) {
  const { statusCode, body } = await api.as('admin', { method: 'GET', url })
  expect({ url, statusCode, body: body.slice(0, 300) }).toMatchObject({ statusCode: 200 })
  return body
}

/** Asks all that show the run. Returns its page. */
async function lookEverywhere(id: string): Promise<{ details: object; batchMarks: Mark[] }> {
  for (const url of [
    '/api/jobs',
    '/api/jobs/runs',
    '/api/jobs/runs.csv',
    '/api/console/overview',
    '/api/console/jobs',
    `/api/console/jobs/${cleanupI18nCache.name}`,
    '/api/console/queue',
  ]) {
    await get(url)
  }
  return JSON.parse(await get(`/api/jobs/runs/${id}`))
}

interface Mark {
  at: string
  batches: number
  counts: Record<string, number>
}

/** Names that mean something elsewhere: to the engine, to JavaScript, or to who reads the record. */
const NAMES = [
  'at',
  'counts',
  'name',
  'id',
  'constructor',
  'toString',
  'valueOf',
  'hasOwnProperty',
  '0',
  'é 👍',
]
const counts = fc.dictionary(
  fc
    .oneof(fc.constantFrom(...NAMES), fc.string({ unit: 'grapheme', minLength: 1, maxLength: 9 }))
    // The engine refuses these, and what PostgreSQL cannot hold.
    .filter((name) => !/^(batches|error|guard|__proto__)$/.test(name) && !name.includes('\0')),
  fc.oneof(fc.nat(), fc.constantFrom(-1, 8_640_000_000_000_001, Number.MAX_SAFE_INTEGER)),
  { maxKeys: 4, noNullPrototype: true },
)

it('whatever batches count, by whatever names, is shown as it is', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(counts, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (batches, dryRun) => {
        const result = await runOnce({
          databaseUrl: api.databaseUrl,
          schema: 'public',
          client: api.prisma,
          job: cleanupI18nCache,
          handler: async ({ batch }) => {
            for (const each of batches) await batch(async () => each)
          },
          dryRun,
          log: pino({ level: 'silent' }),
        })
        if (result.kind !== 'ended') throw new Error(result.kind)
        const expected = new Map<string, number>()
        for (const [name, count] of batches.flatMap((each) => Object.entries(each)))
          expected.set(name, (expected.get(name) ?? 0) + count)
        const { details, batchMarks } = await lookEverywhere(result.run.id)
        const changing = batches.filter((each) =>
          Object.values(each).some((count) => count !== 0),
        ).length
        expect(new Map(Object.entries(details))).toEqual(
          new Map([...expected, ['batches', changing]]),
        )
        if (dryRun || changing === 0) return
        expect(new Map(Object.entries(batchMarks.at(-1)!.counts))).toEqual(expected)
        expect(batchMarks.map((mark) => mark.batches)).toEqual(batchMarks.map((_, at) => at + 1))
      },
    ),
    {
      numRuns: 15,
      examples: [
        [[{ at: 8_640_000_000_000_001 }], false],
        [[{ constructor: 1 }], true],
      ],
    },
  )
})

it('marks that say no instant, or none that a date can hold, are left out', async () => {
  const marks = ['9e15', '-9e15', '1e400', '"x"', 'null', '{}', '253402300800000', '-1'].map(
    (at) => `{ "at": ${at}, "batches": 1, "counts": {} }`,
  )
  const [run] = await api.prisma.$queryRawUnsafe<{ id: string }[]>(
    `insert into "JobRun" ("id", "name", "trigger", "workerId", "batchMarks")
     values (gen_random_uuid(), 'cleanupI18nCache', 'queue', 'w1', '[${marks.join(', ')}]') returning "id"::text`,
  )
  const { batchMarks } = await lookEverywhere(run!.id)
  expect(batchMarks).toEqual([{ at: '1969-12-31T23:59:59.999Z', batches: 1, counts: {} }])
})
