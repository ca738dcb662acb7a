export interface Random {
  /** At least 0, less than 1. */
  next(): number
  /** Both ends included. */
  integer(from: number, to: number): number
  /** @throws where there is none */
  pick<Value>(values: readonly Value[]): Value
  chance(probability: number): boolean
  /** A generator of its own: what one part draws must not depend on when another part draws. */
  fork(): Random
}

/** Mulberry32: small, fast, and the same everywhere, so that a seed names a run. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0

  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  const integer = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    integer,
    pick<Value>(values: readonly Value[]): Value {
      if (values.length === 0) throw new Error('There is nothing to pick from')
      return values[integer(0, values.length - 1)] as Value
    },
    chance: (probability) => next() < probability,
    fork: () => createRandom(Math.floor(next() * 0x1_0000_0000)),
  }
}
