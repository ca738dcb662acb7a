import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Taken } from '../../src/queue/taken.ts'
import { createShares } from '../../src/work/shares.ts'

/** A queue of so many pieces of each key, and what is asked of it by shares. */
function openQueue(waiting: Record<string, number>) {
  const shares = createShares()
  /** What is paused, and for how long. */
  const paused = new Map<string, number>()
  const blocked = new Set<string>()
  const running = new Map<string, number>()
  let looks = 0
  const find = async (after: string | null, most: number) => {
    looks++
    return Object.keys(waiting)
      .filter((key) => (waiting[key] as number) > 0 && (after === null || key > after))
      .toSorted()
      .slice(0, most)
      .map((key) => ({ key, openInMs: paused.get(key) ?? null }))
  }
  return {
    shares,
    looks: () => looks,
    paused,
    /** As where the first piece of a key that goes by age has to be tried again: looks do not see it. */
    block: (key: string) => void blocked.add(key),
    /** Takes up to `room` pieces as a claim does, of each key so many that no more than `perKey` run. */
    async take(room: number, perKey = Infinity): Promise<string[]> {
      await shares.look(find)
      const asked = shares.ask(room)
      const taken: string[] = []
      const keys: Record<string, [number, number | null, null]> = {}
      for (const { key, take } of asked) {
        const free = paused.has(key) || blocked.has(key) ? 0 : perKey - (running.get(key) ?? 0)
        if (free < Infinity) keys[key] = [free, paused.get(key) ?? null, null]
        const count = Math.max(0, Math.min(take, free, waiting[key] as number, room - taken.length))
        waiting[key] = (waiting[key] as number) - count
        running.set(key, (running.get(key) ?? 0) + count)
        taken.push(...Array.from({ length: count }, () => key))
      }
      const work = taken.map((key) => ({ key })) as Taken[]
      shares.note(asked, work, { free: null, keys }, room)
      return taken
    },
    end(key: string): void {
      running.set(key, (running.get(key) ?? 0) - 1)
      shares.ended(key)
    },
    /** Whether what waits could start. */
    isReady: (perKey = Infinity) =>
      Object.entries(waiting).some(([key, count]) => count > 0 && (running.get(key) ?? 0) < perKey),
  }
}

const count = (taken: readonly string[], key: string) => taken.filter((one) => one === key).length

describe('shares', () => {
  it('of a key that was emptied are asked for with the next wake-up, before a look finds it', async () => {
    const queue = openQueue({ large: 100, small: 1 })
    expect(count(await queue.take(10), 'small')).toBe(1)
    expect(queue.shares.ask(0).map(({ key }) => key)).toEqual(['large'])
    queue.shares.release([{ key: 'large', take: 1, behind: null }])
    queue.shares.seek()
    expect(queue.shares.ask(4).map(({ key, take }) => [key, take])).toEqual(
      expect.arrayContaining([['small', expect.any(Number)]]),
    )
  })

  it('are equal, whatever waits', async () => {
    const queue = openQueue({ large: 1_000, other: 200, '': 200 })
    const taken: string[] = []
    for (let n = 0; n < 50; n++) taken.push(...(await queue.take(10)))
    expect(['large', 'other', ''].map((key) => Math.round(count(taken, key) / 10))).toEqual([
      17, 17, 17,
    ])
  })

  it('of who comes later begin with no credit', async () => {
    const waiting: Record<string, number> = { early: 1_000_000, late: 0 }
    const queue = openQueue(waiting)
    for (let n = 0; n < 10; n++) await queue.take(10)
    waiting['late'] = 1_000
    queue.shares.seek()
    const taken: string[] = []
    // A look rests for a moment after the one before.
    do taken.splice(0, Infinity, ...(await queue.take(10)))
    while (count(taken, 'late') === 0)
    for (let n = 0; n < 10; n++) taken.push(...(await queue.take(10)))
    expect(Math.abs(count(taken, 'late') - count(taken, 'early'))).toBeLessThanOrEqual(20)
  })

  it('of a key that people resume sooner than it was paused for begin with no credit', async () => {
    const queue = openQueue({ still: 1_000, other: 1_000_000 })
    await queue.take(10)
    queue.paused.set('still', 86_400_000)
    for (let n = 0; n < 50; n++) await queue.take(10)
    queue.paused.clear()
    queue.shares.refresh()
    const taken: string[] = []
    // A look rests for a moment after the one before.
    await waitFor(async () => {
      taken.splice(0, Infinity, ...(await queue.take(10)))
      return count(taken, 'still') > 0
    })
    for (let n = 0; n < 10; n++) taken.push(...(await queue.take(10)))
    expect(Math.abs(count(taken, 'still') - count(taken, 'other'))).toBeLessThanOrEqual(20)
  })

  it('are not kept out by any number of keys that cannot start', async () => {
    const blocked = Array.from({ length: 12_000 }, (_, n) => `a ${n}`)
    const queue = openQueue({ ...Object.fromEntries(blocked.map((key) => [key, 1])), z: 5 })
    for (const key of blocked) queue.block(key)
    for (let n = 0, taken: string[] = []; taken.length === 0; n++) {
      expect(n).toBeLessThan(200)
      taken = await queue.take(200)
    }
  })

  it('are looked for in vain ever again only where there is news', async () => {
    const keys = Array.from({ length: 12_000 }, (_, n) => `key ${n}`)
    const queue = openQueue(Object.fromEntries(keys.map((key) => [key, 1])))
    for (const key of keys) queue.paused.set(key, 86_400_000)
    await queue.take(10)
    const looks = queue.looks()
    for (let round = 0; round < 5; round++) {
      queue.shares.refresh()
      await queue.take(10)
    }
    expect(queue.looks()).toBe(looks)
    queue.paused.delete('key 7')
    queue.shares.refresh(true)
    expect(await queue.take(10)).toEqual(['key 7'])
  })

  it('of a key with a rate open again at its pace, however long its runs are', async () => {
    const shares = createShares()
    await shares.look(async () => [{ key: 'rated', openInMs: null }])
    const asked = shares.ask(5)
    const work = [{ key: 'rated' }] as Taken[]
    shares.note(asked, work, { free: null, keys: { rated: [1, null, 100] } }, 5)
    expect(shares.hasFull()).toBe(false)
    expect(shares.waitMs()).toBeLessThanOrEqual(100)
  })

  it('leave nothing that could start, however many keys there are and whatever ends', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.string({ minLength: 1, maxLength: 2 }), fc.nat(5), {
          noNullPrototype: true,
          maxKeys: 60,
        }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 3 }),
        async (waiting, room, perKey) => {
          const queue = openQueue(waiting)
          const running: string[] = []
          // As a lane does: while any key is open, and again once a run has ended.
          const takeAll = async () => {
            do running.push(...(await queue.take(room, perKey)))
            while (queue.shares.hasOpen())
          }
          for (;;) {
            await takeAll()
            expect(queue.isReady(perKey)).toBe(false)
            const ended = running.pop()
            if (ended === undefined) break
            queue.end(ended)
          }
          expect(Object.values(waiting).every((left) => left === 0)).toBe(true)
        },
      ),
    )
  })

  it('of more keys than it remembers all have their turn', async () => {
    const waiting = Object.fromEntries(Array.from({ length: 12_000 }, (_, n) => [`key ${n}`, 3]))
    const queue = openQueue(waiting)
    for (let n = 0; queue.isReady(); n++) {
      expect(n).toBeLessThan(2_000)
      queue.shares.seek()
      await queue.take(200)
    }
  })
})
