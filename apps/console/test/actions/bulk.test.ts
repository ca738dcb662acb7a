import { expect, it } from 'vitest'
import {
  addAnswer,
  bulkDetails,
  describeBulk,
  describeDone,
  isUnfinished,
  NOTHING_DONE,
} from '../../src/actions/bulk.ts'

it('states the number, on the button as well', () => {
  const targets = [{ all: true }] as const
  const words = describeBulk({ what: 'redrive', count: 1_200, about: 'of callPartner', targets })
  expect(words).toMatchObject({
    title: 'Retry 1,200 dead letters',
    confirm: 'Retry 1,200',
    isDangerous: false,
  })
  expect(words.explanation).toContain('1,200 dead letters of callPartner go back into the queue')
  const one = describeBulk({ what: 'discard', count: 1, about: '', targets: [{ ids: ['a'] }] })
  expect(one.explanation).toContain('1 dead letter is removed for good')
  const many = { what: 'cancel', count: 200, isMore: true, about: 'that match', targets } as const
  expect(describeBulk(many).confirm).toBe('Cancel more than 200 runs')
})

it('adds up what the answers say, of what is left the last', () => {
  const first = addAnswer(NOTHING_DONE, { redriven: 500, alreadyQueued: 2, left: 100 })
  const sum = addAnswer(first, {
    redriven: 90,
    alreadyQueued: 9,
    endedWorkers: 2,
    unknown: 1,
    left: 0,
  })
  expect(sum).toEqual({
    done: 590,
    left: 0,
    alreadyQueued: 11,
    endedWorkers: 2,
    unknown: 1,
    notRunning: 0,
  })
  expect(describeDone('redrive', sum)).toBe(
    '590 dead letters are back in the queue; 11 stayed: other work holds their unique key; 2 stayed: workers have died of them, so retry each by itself; 1 stayed: their job is not known here',
  )
  expect(describeDone('redrive', first)).toContain('100 left as they were')
  expect(describeDone('cancel', { ...NOTHING_DONE, done: 1, notRunning: 2 })).toBe(
    '1 run is asked to stop; 2 had ended',
  )
})

it('tells how many of those asked for one by one had changed meanwhile', () => {
  const sum = { ...NOTHING_DONE, done: 1, left: 1 }
  expect(describeDone('cancelWork', sum, 5)).toBe(
    '1 piece of work is cancelled; 3 waited no more; 1 left as they were',
  )
  expect(describeDone('discard', { ...NOTHING_DONE, unknown: 1 }, 2)).toContain(
    '; 1 was no dead letter any more',
  )
  expect(describeDone('prioritiseWork', sum, 3)).toContain('1 waited no more, or was so already')
  expect(describeDone('redriveRuns', sum)).not.toContain('any more')
})

it('states how much waiting work is meant, and of one piece speaks as of one', () => {
  const targets = [{ name: 'a', label: 'Order 7' }]
  const about = 'of a labelled Order 7'
  const words = describeBulk({ what: 'cancelWork', count: 1_234, about, targets })
  expect(words.explanation).toContain(
    '1,234 pieces of waiting work of a labelled Order 7 leave the',
  )
  expect(words.confirm).toBe('Cancel 1,234')
  const one = describeBulk({ what: 'cancelWork', count: 1, about: 'of a', targets })
  expect([one.title, one.confirm]).toEqual(['Cancel waiting work', 'Cancel the work'])
  expect(one.explanation).toContain('Waiting work of a leaves the queue')
})

it('says in each request until when, or which priority', () => {
  const now = Date.parse('2026-11-24T09:00:00Z')
  expect(bulkDetails('startWork', 7, now)).toEqual({ startAfter: '1970-01-01T00:00:00.000Z' })
  expect(bulkDetails('postponeWork', 60_000, now)).toEqual({
    startAfter: '2026-11-24T09:01:00.000Z',
  })
  expect(bulkDetails('prioritiseWork', 7, now)).toEqual({ priority: 7 })
  expect(bulkDetails('discard', 7, now)).toEqual({})
})

it('asks again for what is left, of waiting work only as long as some is done', () => {
  expect(isUnfinished({ redriven: 500, left: 3, nextCursor: 'x' })).toBe(true)
  expect(isUnfinished({ redriven: 3, left: 0, nextCursor: null })).toBe(false)
  expect(isUnfinished({ done: 10_000, left: 7 })).toBe(true)
  expect(isUnfinished({ done: 7, left: 0 })).toBe(false)
  // Somebody else is changing them.
  expect(isUnfinished({ done: 0, left: 7 })).toBe(false)
})
