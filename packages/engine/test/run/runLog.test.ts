import { hostileValue, makeHostile } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Logger } from '../../src/index.ts'
import { createMask } from '../../src/values/maskText.ts'
import { storable } from '../../src/values/storable.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import { createRunLog, LOG_LEVELS, type KeptLog } from '../../src/run/runLog.ts'

const at = new Date('2026-01-02T03:04:05.678Z')

function openRunLog(host: object = {}, redact?: (text: string) => string) {
  const { log, close } = createRunLog(containedLog(host), () => at, createMask(redact))
  return { log, close: () => JSON.parse(close() ?? 'null') as KeptLog }
}

function linesOf(write: (log: Logger) => void, redact?: (text: string) => string): string[] {
  const { log, close } = openRunLog({}, redact)
  write(log)
  return (close()?.lines ?? []).map(({ level, message, fields }) =>
    [level, message, ...(fields === undefined ? [] : [fields])].join('|'),
  )
}

describe('what a run logs', () => {
  it('is kept with its level, its time and its fields, those of children included', () => {
    const { log, close } = openRunLog()
    log.child({ feed: 'a' }).warn({ row: 3, of: { kind: 'x', list: [1, null] } }, 'row skipped')
    log.info('%s of %d', 'two', 3)
    expect(close()).toEqual({
      lines: [
        {
          at: at.getTime(),
          level: 'warn',
          message: 'row skipped',
          fields: 'feed=a row=3 of.kind=x of.list.0=1 of.list.1=null',
        },
        { at: at.getTime(), level: 'info', message: 'two of 3' },
      ],
      earlier: 0,
    })
  })

  it('is nothing where nothing was logged, and nothing of what comes after its end', () => {
    const { log, close } = openRunLog()
    expect(close()).toBeNull()
    log.info('too late')
    expect(close()).toBeNull()
  })

  it('is read while the run goes on, where there is anything new, masked once', () => {
    const { log, readNew, close } = createRunLog(
      containedLog({}),
      () => at,
      createMask((text) => text.replaceAll('a', 'aa')),
    )
    const messages = (json: string | null) =>
      json && (JSON.parse(json) as KeptLog).lines.map(({ message }) => message)
    log.info('a')
    expect([readNew(), readNew()].map(messages)).toEqual([['aa'], null])
    log.info('b')
    expect([readNew(), close(), readNew()].map(messages)).toEqual([['aa', 'b'], ['aa', 'b'], null])
  })

  it('tells of an error what and where it was, and what caused it', () => {
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    const error = new TypeError('fetch failed', { cause })
    const [withMessage, alone] = linesOf((log) => {
      log.error({ err: error }, 'no feed')
      log.error(error)
    })
    const told =
      'ECONNREFUSED fetch failed at .*runLog.test.ts:\\d+:\\d+\\)? ← ECONNREFUSED connect ECONNREFUSED'
    expect(withMessage).toMatch(new RegExp(`^error\\|no feed\\|err=${told}$`))
    expect(alone).toMatch(new RegExp(`^error\\|${told}$`))
  })

  it('goes to the host as well, and only what that writes is kept', () => {
    const written: unknown[] = []
    const host = { level: 'warn', warn: (...line: unknown[]) => void written.push(line) }
    const children: object[] = []
    const child = (fields: object) => (children.push(fields), { ...host, child })
    const { log, close } = openRunLog({ ...host, child })
    log.child({ feed: 'a' })
    expect(children).toEqual([{ feed: 'a' }])
    log.info('quiet')
    log.warn({ n: 1 }, 'loud')
    expect(close().lines.map(({ message }) => message)).toEqual(['loud'])
    expect(written).toEqual([[{ n: 1 }, 'loud']])
  })

  it('is masked: each message, field and name', () => {
    const write = (log: Logger) => {
      log.info({ to: 'anna@example.com', deep: { password: 'hunter2' } }, 'to anna@example.com')
      log.info({ 'anna@example.com': 1 }, 'Order 12 of Anna')
      log.warn(new Error('Bearer abc', { cause: new Error('smtp://me:it@mail.test') }))
    }
    expect(linesOf(write)).toEqual([
      'info|to [redacted]|to=[redacted] deep.password=[redacted]',
      'info|Order 12 of Anna|[redacted]=1',
      expect.stringMatching(
        /^warn\|handler_failed Bearer \[redacted\] at .* ← smtp:\/\/\[redacted\]@mail\.test$/,
      ),
    ])
    expect(linesOf(write, (text) => text.replaceAll('Anna', '[name]'))[1]).toBe(
      'info|Order 12 of [name]|[redacted]=1',
    )
    expect(linesOf(write, () => fail())[1]).toBe(
      'info|[withheld: the job’s redact function failed]|[withheld: the job’s redact function failed]',
    )
  })

  it('has values in a message as JSON, however they are asked for', () => {
    const value = { to: 'anna@example.com', control: 'esc\u001b[31mred' }
    const lines = linesOf((log) => {
      for (const mark of ['%o', '%O', '%s', '%j', '']) log.info({}, `got ${mark}`, value)
      log.info({}, '%o and %O, 100%%o', 'text', ['list'])
    })
    expect(lines.map((line) => line.replace('  ', ' '))).toEqual([
      ...Array.from(
        { length: 5 },
        () => String.raw`info|got {"to":"[redacted]","control":"esc\u001b[31mred"}`,
      ),
      'info|text and ["list"], 100%o',
    ])
  })

  it('steers no terminal, and has its fields on one line', () => {
    const [line] = linesOf((log) =>
      log.info({ a: 'x\ny\u001b[2J', b: 1 }, '\u001b[31mred\u0007\nnext'),
    )
    expect(line).toBe('info|red\ufffd\nnext|a=x y b=1')
  })

  it('tells fifty parts of a line, and what is odd among them alone is not told', () => {
    const many = Array.from({ length: 60 }, (_, n) => [`k${n}`, 'x'])
    const odd = {
      get broken() {
        throw new Error('broken')
      },
      large: Array(20_000).fill(1),
      n: 1,
    }
    const [names, leaves, values, strange, thrown] = linesOf((log) => {
      log.info(Object.fromEntries(many) as object, 'many')
      log.info({ list: many }, 'many')
      log.info('%s', ...Array<string>(60).fill('x'))
      log.info(odd, 'odd')
      log.info('paid %s', {
        toString() {
          throw new Error('broken')
        },
      } as never)
    })
    for (const line of [names, leaves]) expect(line?.split('=')).toHaveLength(51)
    expect(values?.split(' ')).toHaveLength(50)
    expect(strange).toBe('info|odd|broken=[unreadable] large=[too large] n=1')
    expect(thrown).toMatch(/^info\|paid /)
  })

  it('is the last of many lines, and says how many came before', () => {
    const { log, close } = openRunLog()
    for (let n = 0; n < 1_000; n++) log.info(`line ${n}`)
    const { lines, earlier } = close()
    expect(lines.map(({ message }) => message)).toEqual(
      Array.from({ length: 100 }, (_, n) => `line ${n + 900}`),
    )
    expect(earlier).toBe(900)
  })

  it('is bounded where lines are large', () => {
    const { log, close } = openRunLog()
    const long = 'x1y2'.repeat(5_000)
    for (let n = 0; n < 50; n++) log.info({ long }, `beginning ${long}`)
    const { lines, earlier } = close()
    expect(lines.length + earlier).toBe(50)
    expect(earlier).toBe(47)
    expect([lines.at(-1)?.message, lines.at(-1)?.fields].map((one) => one?.length)).toEqual([
      1_001, 1_001,
    ])
  })

  it('is of the last lines what a new run would keep, whatever came before', () => {
    const lengths = fc.array(fc.nat(20_000), { maxLength: 150 })
    const told = (before: readonly number[]) => {
      const { log, close } = openRunLog()
      for (const length of before) log.info('x'.repeat(length))
      for (let n = 0; n < 20; n++) log.info({ n }, 'line')
      return close()
    }
    const fresh = told([]).lines
    fc.assert(
      fc.property(lengths, (before) => {
        const { lines, earlier } = told(before)
        expect(lines.slice(-20)).toEqual(fresh)
        expect(lines.length + earlier).toBe(before.length + 20)
      }),
      { numRuns: 50 },
    )
  })

  it('can be stored and stays bounded, whatever is logged', () => {
    const level = fc.constantFrom(...LOG_LEVELS)
    const value = hostileValue()
    const values = fc.array(value, { maxLength: 2 })
    const line = fc.tuple(level, value, fc.option(value), values)
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.option(value), (all, fixed) => {
        const { log, close } = openRunLog()
        const own = fixed === null ? log : log.child(makeHostile(fixed) as object)
        for (const [name, first, message, more] of all) {
          own[name](
            makeHostile(first) as object,
            ...((message === null ? [] : [makeHostile(message), ...more.map(makeHostile)]) as []),
          )
        }
        const kept = close()
        if (kept === null) return
        expect(storable(kept, 1_000_000)).toMatchObject({ kind: 'stored', value: kept })
        for (const { message, fields = '' } of kept.lines)
          expect(Math.max(message.length, fields.length)).toBeLessThanOrEqual(1_001)
      }),
      { numRuns: 150 },
    )
  })
})

function fail(): never {
  throw new Error('on purpose')
}
