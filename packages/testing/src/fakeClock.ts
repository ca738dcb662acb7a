export interface FakeClock {
  /** A new Date at each call. It needs no `this`, so that it can be passed on. */
  now(): Date
  set(date: Date | string): void
  advance(ms: number): void
}

/** A clock that stands still until it is moved. */
export function fakeClock(startIso: string): FakeClock {
  let currentMs = toMs(startIso)
  return {
    now: () => new Date(currentMs),
    set: (date) => {
      currentMs = toMs(date)
    },
    advance: (ms) => {
      currentMs += ms
    },
  }
}

function toMs(date: Date | string): number {
  const ms = new Date(date).getTime()
  if (Number.isNaN(ms)) throw new RangeError(`Not a date: ${String(date)}`)
  return ms
}
