import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { watchEventLoop, type Lag } from '../../src/hostile/watchEventLoop.ts'

const STILL_MS = 500

/** Resolves to the longest pause that is reported after `work` has held the event loop. */
async function lagOf(
  work: (block: <Result>(held: () => Result) => Result) => void,
  readWithheld?: () => number,
): Promise<Lag> {
  const lags: Lag[] = []
  const watch = watchEventLoop(({ lag }) => lag && lags.push(lag), readWithheld)
  onTestFinished(watch.stop)
  setImmediate(() => work(watch.block))
  const longest = () =>
    lags.toSorted((one, other) => other.to - other.from - (one.to - one.from))[0]
  return await vi.waitFor(() => {
    const lag = longest()
    if (!lag || lag.to - lag.from < STILL_MS) throw new Error('not yet')
    return lag
  }, 30_000)
}

const waitStill = () => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STILL_MS)

function burn(): void {
  const before = process.threadCpuUsage()
  const usedMs = () => {
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1_000
  }
  while (usedMs() < STILL_MS);
}

describe('a loop that stands still', () => {
  it('counts as blocked while it waits in a system call', async () => {
    expect((await lagOf(waitStill)).beyondMs).toBeGreaterThan(STILL_MS * 0.8)
  })

  it('counts as blocked while it keeps a processor busy, however loaded the machine is', async () => {
    expect((await lagOf(burn)).beyondMs).toBeGreaterThan(STILL_MS * 0.8)
  })

  it('does not count where a drawn outcome keeps it', async () => {
    expect((await lagOf((block) => block(waitStill))).beyondMs).toBeLessThan(STILL_MS * 0.5)
  })

  it('does not count where the machine withholds a processor', async () => {
    let withheldMs = 0
    const lag = await lagOf(
      () => {
        waitStill()
        withheldMs += STILL_MS
      },
      () => withheldMs,
    )
    expect(lag.beyondMs).toBeLessThan(STILL_MS * 0.5)
  })
})
