import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { countQueue } from '../../src/internal.ts'
import { getWorkByKey, getQueueStats } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { insertPieces, type TestPiece } from '../insertPieces.ts'

/* What is said of work, by a look through all of it. Fixtures have several rows, inserted out of order. */

const NAMES = ['letter', 'parcel', 'import']
const jobs = NAMES.map((name) => defineJob({ name, result: z.string() }))
const [letter, parcel] = jobs as [(typeof jobs)[number], (typeof jobs)[number]]

const { runtime, client } = useClientRuntime({ cleared: [] })
const insert = (pieces: readonly Piece[]) => insertPieces(runtime.rows, pieces)
type Piece = TestPiece & { secondsAgo: number }

const piece: fc.Arbitrary<Piece> = fc.record({
  name: fc.constantFrom(...NAMES),
  state: fc.constantFrom('waiting', 'active', 'failed'),
  attempt: fc.constantFrom(1, 2),
  losses: fc.constantFrom(0, 2),
  priority: fc.constantFrom(-1, 0, 7),
  secondsAgo: fc
    .tuple(fc.boolean(), fc.integer({ min: 1, max: 50 }))
    .map(([isOver, tens]) => (isOver ? tens * 100 : -tens * 100)),
})

it('counts and measures what a look through all of it counts, in whatever order it was written', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 30, maxLength: 60 }), async (pieces) => {
      await runtime.clear()
      await insert(pieces)
      const of = (name: string, state: string) =>
        pieces.filter((each) => each.name === name && each.state === state)
      const oldest = (some: readonly Piece[]) =>
        some.length === 0 ? null : Math.max(...some.map(({ secondsAgo }) => secondsAgo))
      const model = NAMES.map((name) => {
        const waiting = of(name, 'waiting')
        const ready = waiting.filter(({ secondsAgo }) => secondsAgo > 0)
        const [active, letters] = [of(name, 'active'), of(name, 'failed')]
        return { name, waiting, ready, delayed: waiting.length - ready.length, active, letters }
      })
      // Between the insert and the look goes less than half of the smallest distance.
      const round = (seconds: number | null) =>
        seconds === null ? null : Math.round(seconds / 100) * 100
      const measures = await getQueueStats(runtime.reader, NAMES)
      expect(measures.map((row) => ({ ...row, oldestSeconds: round(row.oldestSeconds) }))).toEqual(
        model.flatMap(({ name, ready, delayed, active, letters }) => [
          { name, state: 'ready', count: ready.length, oldestSeconds: oldest(ready) },
          { name, state: 'delayed', count: delayed, oldestSeconds: null },
          { name, state: 'active', count: active.length, oldestSeconds: oldest(active) },
          { name, state: 'deadLetter', count: letters.length, oldestSeconds: oldest(letters) },
        ]),
      )
      const agoOf = (at: string | null) =>
        at === null ? null : round((Date.now() - Date.parse(at)) / 1_000)
      const counts = await countQueue(runtime.reader, NAMES)
      expect(
        counts.map(({ oldestWaitingAt, oldestDeadLetterAt, ...row }) => ({
          ...row,
          ready: agoOf(oldestWaitingAt),
          letter: agoOf(oldestDeadLetterAt),
        })),
      ).toEqual(
        model.map(({ name, waiting, ready, delayed, active, letters }) => ({
          name,
          waiting: waiting.length,
          delayed,
          isWaitingCut: false,
          active: active.length,
          deadLetters: letters.length,
          areDeadLettersCut: false,
          ready: oldest(ready),
          letter: oldest(letters),
        })),
      )
    }),
    { numRuns: 12 },
  )
})

describe('the work with a unique key', () => {
  const since = new Date(Date.now() - 86_400_000)
  const find = () => getWorkByKey(runtime.reader, letter, 'k', since)
  const given = (secondsAgo: number, code: string, of: Partial<Piece> = {}): Piece => ({
    name: 'letter',
    state: 'failed',
    secondsAgo,
    code,
    key: 'k',
    ...of,
  })

  it('is the last that was given up, of that job and key, since then', async () => {
    await insert([
      given(300, 'b'),
      given(100, 'a'),
      given(500, 'c'),
      given(10, 'other_key', { key: 'l' }),
      given(20, 'other_job', { name: 'parcel' }),
    ])
    expect(await find()).toEqual({ kind: 'failed', errorCode: 'a' })
  })

  it('is that which waits, whatever was given up', async () => {
    await insert([given(300, 'b'), given(100, 'a'), given(-50, '', { state: 'waiting' })])
    expect(await find()).toMatchObject({ kind: 'waiting' })
  })

  it('is none where all was given up before', async () => {
    await insert([given(90_000, 'a')])
    expect(await find()).toBeNull()
  })
})

it('answers with the result of the last attempt, of that piece of work alone', async () => {
  const id = randomUUID()
  const run = (workId: string, name: string, attempt: number, result: string, hours = 1) =>
    runtime.rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "attempt", "workId", "startedAt", "createdAt", "endedAt", "result")
       values (gen_random_uuid(), $2, 'success', 'queue', 'w', $3, $1, now(), now() - $5 * interval '1 hour', now(), $4::jsonb)`,
      [workId, name, attempt, JSON.stringify(result), hours],
    )
  await run(id, 'letter', 2, 'second')
  await run(id, 'letter', 3, 'third')
  await run(id, 'letter', 3, 'third, given out before', 2)
  await run(id, 'letter', 1, 'first')
  await run(id, 'parcel', 9, 'of another job')
  await run(randomUUID(), 'letter', 9, 'of other work')
  const resultOf = async (job: typeof letter) => await client.result(job, id, { timeoutMs: 0 })
  expect(await resultOf(letter)).toMatchObject({ kind: 'success', result: 'third' })
  expect(await resultOf(parcel)).toMatchObject({ kind: 'success', result: 'of another job' })
})
