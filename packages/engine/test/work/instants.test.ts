import fc from 'fast-check'
import { INSTANT_EDGES, instants, isStorable } from '@roundsman/testing/hostileNumbers'
import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { getWork, getQueueStats } from '../../src/client.ts'
import { ArgumentError, defineJob, type EnqueueOptions } from '../../src/index.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel' })
const by = { actor: 'admin@example.com', reason: 'because of the test' }

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

const pieces = fc.record(
  {
    startAfter: instants,
    /** The work with the same key that replaces it. */
    again: fc.record({ startAfter: instants, maxWaitMs: fc.integer({ min: 1, max: 10_000 }) }),
    postponedTo: instants,
  },
  { requiredKeys: [] },
)

/** Enqueues a piece and changes it; returns its id, or null when nothing was enqueued. Each refusal names the instant. */
async function enqueue(piece: typeof pieces extends fc.Arbitrary<infer P> ? P : never) {
  const { startAfter, again, postponedTo } = piece
  const uniqueKey = crypto.randomUUID()
  let id: string | null = null
  const put = async (options: EnqueueOptions) => {
    id = (await opened.client.enqueueNow(parcel, {}, options)).workId
  }
  await refused(startAfter, put({ ...(startAfter && { startAfter }), uniqueKey }))
  if (again) await refused(again.startAfter, put({ ...again, uniqueKey, onConflict: 'replace' }))
  if (postponedTo && id !== null) {
    const which = { job: parcel, ids: [id] }
    await refused(
      postponedTo,
      opened.client.postponeWork(which, { ...by, startAfter: postponedTo }),
    )
  }
  return id
}

async function refused(startAfter: Date | undefined, call: Promise<unknown>): Promise<void> {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (isStorable(startAfter)) return expect(error).toBeNull()
  expect(error).toBeInstanceOf(ArgumentError)
  expect((error as ArgumentError).message).toMatch(
    /^startAfter must be a valid date of the years 1 to 9999, not /,
  )
}

it('loses no work to the instant at which it is to start, whichever that is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 12 }), async (drawn) => {
      await runtime.clear()
      const ids: string[] = []
      for (const piece of drawn) {
        const id = await enqueue(piece)
        if (id !== null) ids.push(id)
      }
      for (const id of ids)
        expect(await getWork(opened.client.reader, parcel, id)).toMatchObject({ kind: 'waiting' })
      // Nothing has waited since before it was enqueued.
      const waits = (await getQueueStats(opened.client.reader, ['parcel'])).map(
        ({ oldestSeconds }) => oldestSeconds ?? 0,
      )
      expect(Math.max(...waits)).toBeLessThan(3_600)
    }),
    { numRuns: 15, examples: [[INSTANT_EDGES.map((startAfter) => ({ startAfter }))]] },
  )
})

it('starts what was due long ago at once', async () => {
  for (const startAfter of [new Date(0), new Date('0001-01-01T00:00:00Z')])
    await opened.client.enqueueNow(parcel, {}, { startAfter })
  expect(await opened.take('parcel')).toHaveLength(2)
})
