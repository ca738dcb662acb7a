import { describe, expect, it } from 'vitest'
import { readOptions, repeatOf, UsageError } from '../src/runCommand.ts'

const COMMAND = {
  things: { name: 'scenario', known: ['throughput', 'latency'] },
  options: {
    rounds: { takes: 'N', fallback: null, says: 'how many rounds' },
    scale: { takes: 'SCALE', choices: ['small', 'full'], says: 'how much' },
    seed: { takes: 'N', isSeeds: true, says: 'the seeds' },
    jobs: { takes: 'N', fallback: 20_000, least: 0, says: 'how many jobs' },
    'report-only': { says: 'measure nothing' },
  },
} as const

describe('readOptions', () => {
  it('takes what each option says when nothing is said', () => {
    expect(readOptions([], COMMAND)).toEqual({
      things: [],
      rounds: null,
      scale: null,
      seed: [expect.any(Number)],
      jobs: 20_000,
      'report-only': false,
    })
  })

  it('takes things and options in any order', () => {
    const args = ['latency', '--rounds', '7', '--scale', 'small', '--seed=42', '--seed', '43']
    expect(readOptions([...args, '--jobs', '0', 'throughput'], COMMAND)).toMatchObject({
      things: ['latency', 'throughput'],
      rounds: 7,
      scale: 'small',
      seed: [42, 43],
      jobs: 0,
    })
  })

  it.each([
    [['speed'], 'There is no scenario "speed"; there are: throughput, latency'],
    [['--rounds', '0'], '--rounds is a whole number from 1, and not 0'],
    [['--rounds', 'many'], '--rounds is a whole number from 1, and not many'],
    [['--jobs=-1'], '--jobs is a whole number from 0, and not -1'],
    [['--scale', 'big'], '--scale is small or full, and not big'],
    [['--fast'], "Unknown option '--fast'"],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args, COMMAND)).toThrow(UsageError)
    expect(() => readOptions(args, COMMAND)).toThrow(message)
  })
})

it('tells how to have the same again', () => {
  const options = { seed: 5, kills: 10, trace: null, worker: true, alone: false }
  expect(repeatOf('chaos', options)).toBe('pnpm chaos --seed 5 --kills 10 --worker')
})
