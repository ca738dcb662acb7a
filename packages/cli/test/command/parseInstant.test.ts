import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseInstant } from '../../src/command/parseInstant.ts'

const at = (text: string, timeZone = 'UTC') => parseInstant(text, timeZone).instant?.toISOString()

describe('parseInstant', () => {
  it.each([
    ['2026-10-25', '2026-10-25T00:00:00.000Z'],
    ['2026-10-25T02:30', '2026-10-25T02:30:00.000Z'],
    ['2026-10-25 02:30:15', '2026-10-25T02:30:15.000Z'],
    ['2026-10-25T02:30Z', '2026-10-25T02:30:00.000Z'],
    ['2026-10-25T02:30:00.000Z', '2026-10-25T02:30:00.000Z'],
    ['2026-10-25T02:30+02:00', '2026-10-25T00:30:00.000Z'],
    ['2026-10-25T02:30-0530', '2026-10-25T08:00:00.000Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
    ['0001-01-01', '0001-01-01T00:00:00.000Z'],
    ['0050-02-28T01:00+01:00', '0050-02-28T00:00:00.000Z'],
    ['0099-12-31', '0099-12-31T00:00:00.000Z'],
  ])('reads %s', (text, instant) => {
    expect(at(text)).toBe(instant)
  })

  it('reads an instant that the database knows, or says why not, whatever the text', () => {
    const digits = (max: number, length: number) =>
      fc.integer({ min: 0, max }).map((value) => String(value).padStart(length, '0'))
    const date = fc
      .tuple(
        fc.oneof(digits(9_999, 4), fc.constantFrom('0000', '0001', '0099', '9999')),
        ...[digits(13, 2), digits(32, 2), digits(25, 2), digits(61, 2)],
        fc.constantFrom('', 'Z', '+14:00', '-14:00', '+99:99', '-0000', '+15:00'),
      )
      .map(
        ([year, month, day, hour, minute, offset]) =>
          `${year}-${month}-${day}T${hour}:${minute}${offset}`,
      )
    const zone = fc.constantFrom('UTC', 'Pacific/Kiritimati', 'Pacific/Pago_Pago', 'Europe/Berlin')
    const examples: [string, string][] = [
      ['9999-12-31T23:59-14:00', 'UTC'],
      ['9999-12-31T23:59', 'Pacific/Pago_Pago'],
      ['0001-01-01T00:00+14:00', 'UTC'],
    ]
    fc.assert(
      fc.property(fc.oneof(date, fc.string()), zone, (text, timeZone) => {
        const { instant, problem } = parseInstant(text, timeZone)
        const year = instant?.getUTCFullYear() ?? 1
        expect([text, year >= 1 && year <= 9_999, instant === null]).toEqual([
          text,
          true,
          problem !== null,
        ])
      }),
      { numRuns: 2_000, examples },
    )
  })

  it('reads what the clocks of a zone show, unless there is an offset', () => {
    expect(at('2026-07-01', 'Europe/Berlin')).toBe('2026-06-30T22:00:00.000Z')
    expect(at('2026-12-01T00:00', 'America/New_York')).toBe('2026-12-01T05:00:00.000Z')
    expect(at('2026-07-01T00:00Z', 'Europe/Berlin')).toBe('2026-07-01T00:00:00.000Z')
    expect(at('2026-03-29T03:00', 'Europe/Berlin')).toBe('2026-03-29T01:00:00.000Z')
  })

  it('takes the first of a time that comes twice', () => {
    expect(at('2026-10-25T02:30', 'Europe/Berlin')).toBe('2026-10-25T00:30:00.000Z')
    expect(at('2026-10-25T03:00', 'Europe/Berlin')).toBe('2026-10-25T02:00:00.000Z')
  })

  it('refuses one that does not come', () => {
    expect(parseInstant('2026-03-29T02:30', 'Europe/Berlin').problem).toBe(
      '"2026-03-29T02:30" does not exist in Europe/Berlin, whose clocks are set forward then; give an offset, or another time',
    )
  })

  it.each([
    'tomorrow',
    '',
    '2026',
    '2026-1-1',
    '25.10.2026',
    '2026-10-25T2:30',
    '2026-10-25T02',
    '1761350400',
  ])('refuses %j as no date', (text) => {
    expect(parseInstant(text, 'UTC').problem).toMatch(/is not a date; give one such as 2026-10-25,/)
  })

  it.each(['2026-02-29', '2026-13-01', '2026-00-10', '2026-10-25T24:00', '2026-10-25T02:60'])(
    'refuses %j, which no calendar has',
    (text) => {
      expect(parseInstant(text, 'UTC').problem).toBe(`"${text}" is no date of the calendar`)
    },
  )

  it('refuses an offset that no zone has', () => {
    expect(parseInstant('2026-10-25T02:30+23:00', 'UTC').problem).toMatch(/an offset that no zone/)
  })
})
