import { expect, it } from 'vitest'
import { addAnswer, describeBulk, describeDone, NOTHING_DONE } from '../../src/actions/bulk.ts'

it('states the number, on the button as well', () => {
  const target = { all: true } as const
  const words = describeBulk({ what: 'redrive', count: 1_200, about: 'of callPartner', target })
  expect(words).toMatchObject({
    title: 'Redrive 1,200 dead letters',
    confirm: 'Redrive 1,200',
    isDangerous: false,
  })
  expect(words.explanation).toContain('1,200 dead letters of callPartner go back into the queue')
  const one = describeBulk({ what: 'discard', count: 1, about: '', target: { ids: ['a'] } })
  expect(one.explanation).toContain('1 dead letter is removed for good')
  const many = { what: 'cancel', count: 200, isMore: true, about: 'that match', target } as const
  expect(describeBulk(many).confirm).toBe('Cancel more than 200 runs')
})

it('adds up what the answers say, of what is left the last', () => {
  const first = addAnswer(NOTHING_DONE, { redriven: 500, alreadyQueued: 2, left: 100 })
  const sum = addAnswer(first, { redriven: 90, alreadyQueued: 9, unknown: 1, left: 0 })
  expect(sum).toEqual({ done: 590, left: 0, alreadyQueued: 11, unknown: 1, notRunning: 0 })
  expect(describeDone('redrive', sum)).toBe(
    '590 dead letters are back in the queue; 11 stayed, whose unique key other work holds; 1 stayed, whose job is not known here',
  )
  expect(describeDone('redrive', first)).toContain('100 left as they were')
  expect(describeDone('cancel', { ...NOTHING_DONE, done: 1, notRunning: 2 })).toBe(
    '1 run is asked to stop; 2 had ended',
  )
})
