import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { JobsReader } from '@roundsman/engine/client'
import { beforeEach, afterEach, expect, it, vi } from 'vitest'
import { createQueueHistory } from '../../src/console/createQueueHistory.ts'

const NOON = new Date('2026-11-24T12:00:00Z')
const EVERY_MS = 60_000

beforeEach(() => {
  vi.useFakeTimers({ now: NOON })
})
afterEach(() => {
  vi.useRealTimers()
})

function openHistory(measure: (minute: number) => object[]) {
  let asked = 0
  const now = () => new Date()
  const minute = () => (Date.now() - NOON.getTime()) / EVERY_MS
  const reader: JobsReader = {
    async rows<Row extends object>() {
      asked += 1
      return measure(minute()) as Row[]
    },
  }
  const history = createQueueHistory({ reader, names: ['one', 'other'], now, everyMs: EVERY_MS })
  history.start()
  return {
    minutes: () =>
      history.read(now()).map(({ at }) => (Date.parse(at) - NOON.getTime()) / EVERY_MS),
    read: () => history.read(now()),
    asked: () => asked,
    stop: history.stop,
  }
}

const pass = (minutes: number) => vi.advanceTimersByTimeAsync(minutes * EVERY_MS)
/** A row of the statement that measures. */
const ready = (name: string, count: number, oldestSeconds: number | null) => ({
  name,
  now: NOON.toISOString(),
  ready: count,
  oldestReadyAt:
    oldestSeconds === null ? null : new Date(NOON.getTime() - oldestSeconds * 1_000).toISOString(),
  delayed: 1_000,
  active: 1_000,
  oldestActiveAt: new Date(0).toISOString(),
  deadLetters: 0,
  oldestDeadLetterAt: null,
})

it('adds up what is ready of all jobs, and tells the oldest, for an hour', async () => {
  const { read, minutes, stop } = openHistory((minute) => [
    ready('one', minute, 5),
    ready('other', 10, minute),
  ])
  await pass(2)
  expect(read().map(({ ready: count, oldestMs }) => [count, oldestMs])).toEqual([
    [10, 5_000],
    [11, 5_000],
    [12, 5_000],
  ])
  await pass(98)
  expect(minutes()).toEqual(Array.from({ length: 61 }, (_, index) => 40 + index))
  expect(read().at(-1)).toMatchObject({ ready: 110, oldestMs: 100_000 })
  stop()
})

it('leaves out a moment at which the database did not answer, and goes on', async () => {
  const { minutes, stop } = openHistory((minute) => {
    if (minute === 1) throw new Error('gone')
    return [ready('one', 1, null)]
  })
  await pass(3)
  expect(minutes()).toEqual([0, 2, 3])
  stop()
})

it('asks nothing any more once it has stopped', async () => {
  const { asked, stop } = openHistory(() => [])
  await pass(1)
  stop()
  const before = asked()
  await pass(5)
  // At the start and after a minute, two statements each.
  expect(before).toBe(4)
  expect(asked()).toBe(before)
})

it('ends with the last who holds it, whom nobody has to close', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  let asked = 0
  createQueueHistory({
    reader: { rows: async () => ((asked += 1), []) },
    names: [],
    now: () => new Date(),
    everyMs: EVERY_MS,
  }).start()
  await pass(1)
  // What a turn of the loop has held weakly is collected in a later one.
  await setImmediate()
  collect()
  const before = asked
  await pass(3)
  expect([before > 0, asked]).toEqual([true, before])
})
