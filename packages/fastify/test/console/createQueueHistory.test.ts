import type { QueueMeasure, Reader } from '@roundsman/engine/client'
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

function openHistory(measure: (minute: number) => QueueMeasure[]) {
  let asked = 0
  const now = () => new Date()
  const minute = () => (Date.now() - NOON.getTime()) / EVERY_MS
  const reader: Reader = {
    async rows<Row extends object>() {
      asked += 1
      return measure(minute()) as object[] as Row[]
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
const ready = (name: string, count: number, oldestSeconds: number | null): QueueMeasure => ({
  name,
  state: 'ready',
  count,
  oldestSeconds,
})

it('adds up what is ready of all jobs, and tells the oldest, for an hour', async () => {
  const { read, minutes, stop } = openHistory((minute) => [
    ready('one', minute, 5),
    ready('other', 10, minute),
    { name: 'one', state: 'delayed', count: 1_000, oldestSeconds: null },
    { name: 'one', state: 'active', count: 1_000, oldestSeconds: 1_000 },
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
