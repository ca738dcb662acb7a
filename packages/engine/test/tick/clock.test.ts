// Not quick: starts processes.
import { spawnProcess } from '@roundsman/testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { guardClock, nodeCronClock } from '../../src/tick/clock.ts'

const CLOCK = new URL('../fixtures/clockProcess.ts', import.meta.url).pathname

describe('nodeCronClock', () => {
  it('wakes every second', async () => {
    let ticks = 0
    await new Promise<void>((resolve) => {
      const ticking = nodeCronClock(() => {
        if (++ticks < 2) return
        ticking.stop()
        resolve()
      })
    })
    expect(ticks).toBe(2)
  })

  // Around each hour that the host's zone skips or repeats, from two minutes before to two minutes after. Apia no longer
  // changes its clocks, so that its day is an ordinary one.
  const CHANGES: [timeZone: string, from: string, localHour: number][] = [
    ['Europe/Berlin', '2026-03-29T00:58:00Z', 1],
    ['Europe/Berlin', '2026-10-24T23:58:00Z', 1],
    ['America/New_York', '2026-03-08T06:58:00Z', 1],
    ['America/New_York', '2026-11-01T05:58:00Z', 1],
    ['Australia/Lord_Howe', '2026-10-03T15:28:00Z', 1],
    ['Australia/Lord_Howe', '2026-04-04T14:58:00Z', 1],
    ['Pacific/Apia', '2021-04-03T13:58:00Z', 3],
    ['Pacific/Apia', '2020-09-26T13:58:00Z', 2],
    ['Pacific/Apia', '2026-10-24T23:58:00Z', 12],
  ]
  it('wakes through each of them on a host of that zone', { timeout: 120_000 }, async () => {
    const lives = CHANGES.flatMap(([timeZone, from]) => [timeZone, from])
    const child = spawnProcess(CLOCK, { args: [String(64 * 60), ...lives] })
    expect(await child.exited).toEqual({ code: 0, signal: null })
    expect(child.stdout.map((line) => JSON.parse(line) as object)).toEqual(
      CHANGES.map(([, , localHour]) => ({
        localHour,
        missed: 0,
        timersASecond: expect.toSatisfy((timers: number) => timers <= 2) as number,
      })),
    )
  })
})

describe('guardClock', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 1_000_000 })
  })
  afterEach(() => void vi.useRealTimers())

  /** A clock that wakes when it is told to. Each new one has the next number, from 1. */
  function open() {
    const state = { made: 0, stopped: [] as number[], seconds: 0 }
    let wakeInner: () => void = () => undefined
    const clock = guardClock((onSecond) => {
      const number = ++state.made
      wakeInner = onSecond
      return { stop: () => void state.stopped.push(number) }
    })(() => void state.seconds++)
    return { state, clock, wakeInner: () => wakeInner() }
  }

  it('replaces a clock that has fallen silent, and stands in for it until it wakes', () => {
    const { state, clock, wakeInner } = open()
    for (let second = 0; second < 10; second++) {
      wakeInner()
      vi.advanceTimersByTime(1_000)
    }
    expect(state).toMatchObject({ made: 1, seconds: 10 })

    vi.advanceTimersByTime(20_000)
    expect(state.made).toBeGreaterThan(1)
    expect(state.seconds).toBe(10 + 20)

    const { made } = state
    for (let second = 0; second < 4; second++) {
      wakeInner()
      vi.advanceTimersByTime(1_000)
    }
    expect(state).toMatchObject({ made, seconds: 10 + 20 + 4 })
    clock.stop()
    expect(state.stopped).toHaveLength(state.made)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('wakes at once after an event loop was blocked, or a host was suspended', () => {
    const { state, clock, wakeInner } = open()
    wakeInner()
    // The wall clock goes on, but no timer fires.
    vi.setSystemTime(Date.now() + 3_600_000)
    vi.advanceTimersByTime(1_000)
    // What became due meanwhile does not wait for the next second.
    expect(state.seconds).toBe(2)
    clock.stop()
  })

  it('replaces at once a clock whose host was set back, for which it would wait', () => {
    const { state, clock, wakeInner } = open()
    wakeInner()
    vi.setSystemTime(Date.now() - 3_600_000)
    vi.advanceTimersByTime(1_000)
    expect(state.made).toBe(2)
    clock.stop()
  })
})

it('stands in for a clock while that cannot tell the time', () => {
  vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: 0 })
  try {
    const state = { made: 0, stopped: 0, seconds: 0 }
    let wakeInner: () => void = () => undefined
    const clock = guardClock(
      (onSecond) => {
        state.made++
        wakeInner = onSecond
        return { stop: () => void state.stopped++ }
      },
      (instant) => instant < 10_000 || instant >= 20_000,
    )(() => void state.seconds++)
    for (let second = 0; second < 8; second++) {
      vi.advanceTimersByTime(1_000)
      wakeInner()
    }
    expect(state).toEqual({ made: 1, stopped: 0, seconds: 8 })
    vi.advanceTimersByTime(12_000)
    expect(state).toEqual({ made: 1, stopped: 1, seconds: 20 })
    vi.advanceTimersByTime(1_000)
    expect(state.made).toBe(2)
    clock.stop()
    expect(state.stopped).toBe(2)
  } finally {
    vi.useRealTimers()
  }
})

it('a host whose clock jumps by a year does not walk through its seconds', async () => {
  const child = spawnProcess(new URL('../fixtures/jumpProcess.ts', import.meta.url).pathname)
  expect(await child.waitForLine('woken', { timeoutMs: 20_000 })).toBe('woken after the jump')
})
