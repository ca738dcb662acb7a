import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { readRound } from '../../src/worker/rounds.ts'
import { insertWork } from '../../src/queue/insertWork.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { createFloors, type Floors } from '../../src/work/floors.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel' })

const runtime = useTestRuntime()
const opened = openForTests(() => openTestQueue(runtime, [parcel]))
let floors: Floors
let claimer: Claimer

beforeEach(async () => {
  await runtime.clear()
  floors = createFloors()
  const { database } = runtime
  claimer = createClaimer({ database, workerId: 'w1', now: () => new Date(), floors })
})

async function enqueue(priority = 0): Promise<string> {
  return (await opened.client.enqueueNow(parcel, {}, { priority })).workId
}

async function claim(limit: number, hasBacklog: boolean): Promise<(string | null)[]> {
  return (await claimer.claim(parcel, limit, { hasBacklog })).work.map(({ workId }) => workId)
}

async function look() {
  const request = floors.look(parcel.name)
  const seen = await readRound(runtime.database, 'w1', [request], [])
  floors.move(request, seen, seen.firsts.get(parcel.name) ?? new Map())
  return { ready: seen.ready, suspects: seen.suspects }
}

describe('work of one priority', () => {
  it('is taken in the order in which it came, whatever the clocks of its producers say', async () => {
    const ids = ['f', '7', '0'].map((digit) => `${digit.repeat(8)}-0000-7000-8000-000000000000`)
    for (const id of ids)
      await insertWork(runtime.database, [
        { id, name: 'parcel', envelope: { payload: {}, trigger: 'queue' }, bytes: 2 },
      ])
    expect([...(await claim(1, false)), ...(await claim(2, true))]).toEqual(ids)
  })

  it('that is tried again comes behind what was ready before it', async () => {
    const [first, second] = [await enqueue(), await enqueue()]
    const taken = await opened.take('parcel', 1)
    await opened.fail(taken, { code: 'flaky', message: '' }, 'redeliver')
    expect(await claim(2, false)).toEqual([second, first])
  })
})

describe('work of a higher priority', () => {
  it.each([3, 1])(
    'is taken by the next claim, also during a backlog and after looks, and that of a lower one last: %i',
    async (priority) => {
      // The worker knows priorities 0 and 3.
      const known = [await enqueue(3), await enqueue()]
      expect(await claim(2, false)).toEqual(known)
      const backlog = []
      for (let n = 0; n < 6; n++) backlog.push(await enqueue())
      expect(await claim(2, true)).toEqual(backlog.slice(0, 2))
      for (let n = 0; n < 2; n++) await look()
      const low = await enqueue(-1)
      const high = await enqueue(priority)
      const highest = await enqueue(7)
      expect(await claim(3, true)).toEqual([highest, high, backlog[2]])
      expect(await claim(10, true)).toEqual([...backlog.slice(3), low])
    },
  )

  it('comes first among more priorities than a worker remembers', async () => {
    const priorities = Array.from({ length: 40 }, (_, n) => ((n * 17) % 40) - 20)
    for (let round = 0; round < 3; round++) {
      const ids = new Map<number, string>()
      for (const priority of priorities) ids.set(priority, await enqueue(priority))
      const inOrder = [...ids].toSorted(([one], [other]) => other - one).map(([, id]) => id)
      const taken = [...(await claim(7, false)), ...(await claim(13, true))]
      await look()
      await look()
      taken.push(...(await claim(40, round % 2 === 0)))
      expect(taken).toEqual(inOrder)
      expect(floors.behind('parcel', 'hint')).toHaveLength(16)
    }
  })
})

describe('work that needs more than this version understands', () => {
  it('is left alone by claims, looks and what runs alone, and its neighbours are taken', async () => {
    const insert = async (needs: number, losses: number): Promise<string> => {
      const [row] = await runtime.rows<{ id: string }>(
        `insert into "JobWork" ("id", "name", "needs", "losses", "bytes", "payload")
         values (gen_random_uuid(), 'parcel', $1, $2, 2, '{}') returning "id"`,
        [needs, losses],
      )
      return row!.id
    }
    const left = [await insert(1, 0), await insert(1, 2)]
    expect(await look()).toEqual({ ready: [], suspects: [] })
    const neighbours = [await insert(0, 0), await insert(0, 0)]
    const suspect = await insert(0, 2)
    left.push(await insert(1, 0), await insert(1, 2))
    expect(await look()).toEqual({ ready: ['parcel'], suspects: ['parcel'] })

    expect(await claim(10, false)).toEqual(neighbours)
    const alone = async () => (await claimer.claimSuspect(parcel)).work.map(({ workId }) => workId)
    expect([await alone(), await alone()]).toEqual([[suspect], []])
    expect(await look()).toEqual({ ready: [], suspects: [] })
    expect(await claim(10, true)).toEqual([])
    const rows = await runtime.rows<{ id: string }>('select "id" from "JobWork"')
    expect(rows.map(({ id }) => id).toSorted()).toEqual(left.toSorted())
  })
})
