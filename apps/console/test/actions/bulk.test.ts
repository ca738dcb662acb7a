import { expect, it } from 'vitest'
import {
  addResult,
  bulkRequest,
  describeBulk,
  describeDone,
  progressOf,
} from '../../src/actions/bulk.ts'

it('states the number, on the button as well', () => {
  const which = { all: true } as const
  const words = describeBulk({ what: 'redrive', count: 1_200, about: 'of callPartner', which })
  expect(words).toMatchObject({
    title: 'Retry 1,200 dead letters',
    confirm: 'Retry 1,200',
    isDangerous: false,
  })
  expect(words.explanation).toContain('1,200 dead letters of callPartner go back into the queue')
  const one = describeBulk({ what: 'discard', count: 1, about: '', which: { ids: ['a'] } })
  expect(one.explanation).toContain('1 dead letter is removed for good')
  const many = { what: 'cancel', count: 200, isMore: true, about: 'that match', which } as const
  expect(describeBulk(many).confirm).toBe('Cancel over 200 runs')
})

const result = { done: 1, passed: {}, left: 0 }
const redrive = { what: 'redrive', count: 5 } as const

it('tells what came of it, and why the others stayed', () => {
  const passed = { alreadyQueued: 11, endedWorkers: 2, unknown: 1, locked: 3, gone: 1 }
  expect(describeDone(redrive, { ...result, done: 590, passed })).toBe(
    '590 dead letters are back in the queue; 11 stayed: other work has their unique key; 2 stayed: workers died while they ran them, so retry each from its menu; 1 stayed: their job is not known here; 3 passed over: another act or a worker had them at that moment; 1 was already retried or discarded',
  )
  expect(describeDone(redrive, { ...result, left: 100 })).toContain('100 not changed')
  expect(describeDone(redrive, { done: 0, passed: {}, left: 0 })).toBe('Nothing was left to change')
  expect(describeDone({ what: 'cancel', count: 3 }, { ...result, passed: { gone: 2 } })).toBe(
    '1 run is asked to stop; 2 had already ended',
  )
  expect(describeDone({ ...redrive, isAtMost: true }, { ...result, passed: { gone: 2 } })).toBe(
    '1 dead letter is back in the queue',
  )
  expect(
    describeDone({ what: 'prioritiseWork', count: 2 }, { ...result, passed: { unchanged: 1 } }),
  ).toContain('1 already was')
})

it('adds up what the calls have come to, and knows how many there are beyond what the server counts', () => {
  const first = addResult(
    { done: 0, passed: {}, left: 50_000 },
    { done: 990, passed: { locked: 10 }, left: 10_000 },
  )
  expect(progressOf(first, 50_000)).toEqual({ done: 1_000, total: 50_000 })
  expect(describeDone({ what: 'redrive', count: 50_000 }, first)).toContain('49,000 not changed')
  const second = addResult(first, { done: 999, passed: { locked: 1 }, left: 7 })
  expect(second).toEqual({ done: 1_989, passed: { locked: 11 }, left: 7 })
  expect(progressOf(second, 50_000)).toEqual({ done: 2_000, total: 2_007 })
})

it('states how much waiting work is meant, and of one piece speaks as of one', () => {
  const which = { name: 'a', label: 'Order 7' }
  const about = 'of a labelled Order 7'
  const words = describeBulk({ what: 'cancelWork', count: 1_234, about, which })
  expect(words.explanation).toContain(
    '1,234 pieces of waiting work of a labelled Order 7 leave the',
  )
  expect(words.confirm).toBe('Cancel 1,234')
  const one = describeBulk({ what: 'cancelWork', count: 1, about: 'of a', which })
  expect([one.title, one.confirm]).toEqual(['Cancel waiting work', 'Cancel the work'])
  expect(one.explanation).toContain('Waiting work of a leaves the queue')
})

it('says in the request until when, or which priority', () => {
  const now = Date.parse('2026-11-24T09:00:00Z')
  const of = { count: 1, about: '', which: { ids: ['a'] } }
  const start = bulkRequest({ what: 'startWork', ...of }, 7, now)
  expect(start).toEqual({
    kind: 'postponeWork',
    ids: ['a'],
    startAfter: '1970-01-01T00:00:00.000Z',
  })
  expect(describeDone({ what: 'startWork', ...of }, result)).toBe('1 piece of work is due now')
  expect(bulkRequest({ what: 'postponeWork', ...of }, 60_000, now)).toMatchObject({
    startAfter: '2026-11-24T09:01:00.000Z',
  })
  expect(bulkRequest({ what: 'prioritiseWork', ...of }, 7, now)).toMatchObject({ priority: 7 })
  expect(bulkRequest({ what: 'discard', ...of }, 7, now)).toEqual({ kind: 'discard', ids: ['a'] })
})
