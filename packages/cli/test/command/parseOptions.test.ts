import { describe, expect, it } from 'vitest'
import { parseOptions, parseWholeNumber } from '../../src/command/parseOptions.ts'
import { UsageError } from '../../src/command/runCommand.ts'

describe('parseOptions', () => {
  const options = { json: { type: 'boolean' }, job: { type: 'string', multiple: true } } as const

  it('reads what it knows', () => {
    expect(parseOptions(['--json', '--job=a', '--job', 'b'], options)).toEqual({
      json: true,
      job: ['a', 'b'],
    })
  })

  it.each([[['--xml']], [['more']], [['--job']], [['--json=1']]])('refuses %j', (args) => {
    expect(() => parseOptions(args, options)).toThrow(UsageError)
  })
})

describe('parseWholeNumber', () => {
  const bounds = { min: 1, max: 100, otherwise: 3 }

  it('reads one within the bounds, or takes the other', () => {
    expect(parseWholeNumber('--next', '100', bounds)).toBe(100)
    expect(parseWholeNumber('--next', undefined, bounds)).toBe(3)
  })

  it.each(['0', '101', '-1', '1.5', '', 'many'])('refuses %j, naming the option', (text) => {
    expect(() => parseWholeNumber('--next', text, bounds)).toThrow(
      new UsageError(`--next is a whole number from 1 to 100, not "${text}"`),
    )
  })
})
