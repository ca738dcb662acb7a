import { describe, expect, it } from 'vitest'
import { readArguments, UsageError } from '../../src/bench/readArguments.ts'

const KNOWN = ['throughput', 'latency']

describe('readArguments', () => {
  it('measures everything in full when nothing is said', () => {
    expect(readArguments([], KNOWN)).toEqual({
      scenarios: [],
      rounds: null,
      scale: 'full',
      seed: 1,
      out: null,
      postgres: null,
      reportOnly: false,
    })
  })

  it('takes scenarios and options in any order', () => {
    const args = ['latency', '--rounds', '7', '--scale', 'small', '--seed=42', 'throughput']
    expect(readArguments(args, KNOWN)).toMatchObject({
      scenarios: ['latency', 'throughput'],
      rounds: 7,
      scale: 'small',
      seed: 42,
    })
  })

  it.each([
    [['speed'], 'There is no scenario "speed"; there are: throughput, latency'],
    [['--rounds', '0'], '--rounds is "0"; it has to be a whole number above 0'],
    [['--rounds', 'many'], '--rounds is "many"; it has to be a whole number above 0'],
    [['--scale', 'big'], '--scale is "big"; it can be small or full'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => readArguments(args, KNOWN)).toThrow(UsageError)
    expect(() => readArguments(args, KNOWN)).toThrow(message)
  })
})
