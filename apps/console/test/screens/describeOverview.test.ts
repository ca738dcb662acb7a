import type { ConsoleAttention, ConsoleBacklog } from '@roundsman/admin/contract'
import { describe, expect, it } from 'vitest'
import { describeOverview, describeRate } from '../../src/screens/overview/describeOverview.ts'

const JOBS = { total: 5, scheduled: 3, paused: 0, late: 0 }

const item = (more: Partial<ConsoleAttention>): ConsoleAttention => ({
  ...{ kind: 'failing', stage: 'losing', jobs: ['pay'], text: '12 of 40 runs of pay failed.' },
  ...{ note: null, since: null, count: 12, isCut: false },
  ...more,
})
const waiting = (state: string): ConsoleBacklog => ({
  ...{ name: 'syncOrder', due: 4_200, isCut: false, oldestMs: 90_000, perSecond: 40 },
  ...{ state, isStuck: false },
})

function describeThem(attention: ConsoleAttention[], jobs = JOBS, backlog: ConsoleBacklog[] = []) {
  return describeOverview({ attention, jobs, backlog })
}

describe('describeOverview', () => {
  it('says that all is well', () => {
    expect(describeThem([])).toEqual({ tone: 'good', text: 'All 5 jobs on time' })
    expect(describeThem([], { ...JOBS, total: 1 }).text).toBe('The one job is on time')
    expect(describeThem([], { ...JOBS, total: 0 }).text).toBe('There are no jobs yet')
  })

  it('does not count what is paused as on time', () => {
    expect(describeThem([], { ...JOBS, paused: 1 }).text).toBe('4 of 5 jobs on time, 1 paused')
  })

  it('is not green while due work waits in paused queues', () => {
    expect(describeThem([], JOBS, [waiting('caught up in 2 min')]).tone).toBe('good')
    const paused = waiting('paused')
    expect(describeThem([], JOBS, [paused])).toEqual({
      tone: 'warn',
      text: 'All 5 jobs on time, syncOrder is paused with 4,200 waiting',
    })
    expect(describeThem([], JOBS, [paused, { ...paused, name: 'b' }]).text).toBe(
      'All 5 jobs on time, work waits in 2 paused queues',
    )
  })

  it('leads with the first sentence of the first item, and counts the others', () => {
    const first = item({
      text: '12 of 40 runs of pay failed (CardError at charge (src/pay.ts:3:4)). It began 3 min ago.',
    })
    const text = '12 of 40 runs of pay failed'
    expect(describeThem([first])).toEqual({ tone: 'bad', text })
    const blocked = item({ kind: 'blocked', stage: 'waiting' })
    expect(describeThem([first, blocked]).text).toBe(`${text}, and one other thing needs you`)
    expect(describeThem([blocked]).tone).toBe('warn')
  })

  it('says nothing of what is over, and is not green', () => {
    expect(describeThem([item({ stage: 'over' })])).toEqual({
      tone: 'warn',
      text: 'All 5 jobs on time',
    })
  })

  it('says how much starts, in a unit in which that is at least one', () => {
    expect(describeRate(waiting(''))).toBe('40 a second start')
    expect(describeRate({ perSecond: 0.08 })).toBe('4.8 a minute start')
    expect(describeRate({ perSecond: 0.0015 })).toBe('5.4 an hour start')
    expect(describeRate({ perSecond: 0 })).toBe('none starts')
  })
})
