import { describe, expect, it } from 'vitest'
import { isTouched, readEvent } from '../../src/live/createLiveUpdates.ts'

const CHANGES = { ids: new Set(['a']), names: new Set(['pruneJobRuns']) }

describe('isTouched', () => {
  it.each([[['overview']], [['jobs']], [['queue']], [['workers']]])('always touches %j', (key) => {
    expect(isTouched(key, undefined, CHANGES)).toBe(true)
  })

  it('touches a job and lists by name', () => {
    expect(isTouched(['job', 'pruneJobRuns'], undefined, CHANGES)).toBe(true)
    expect(isTouched(['job', 'dispatchEmail'], undefined, CHANGES)).toBe(false)
    expect(isTouched(['runs', {}], undefined, CHANGES)).toBe(true)
    expect(isTouched(['runs', { name: 'dispatchEmail' }], undefined, CHANGES)).toBe(false)
    expect(isTouched(['deadLetters', { name: 'pruneJobRuns' }], undefined, CHANGES)).toBe(true)
  })

  it('touches a run by its id, and by its job for the sake of its other attempts', () => {
    expect(isTouched(['run', 'a'], undefined, CHANGES)).toBe(true)
    expect(isTouched(['run', 'b'], { name: 'pruneJobRuns' }, CHANGES)).toBe(true)
    expect(isTouched(['run', 'b'], { name: 'dispatchEmail' }, CHANGES)).toBe(false)
    expect(isTouched(['run', 'b'], undefined, CHANGES)).toBe(false)
  })

  it('leaves the session alone', () => {
    expect(isTouched(['session'], undefined, CHANGES)).toBe(false)
  })
})

describe('readEvent', () => {
  it('takes ids and names', () => {
    expect(readEvent('{"ids":["a"],"names":["b"]}')).toEqual({ ids: ['a'], names: ['b'] })
    expect(readEvent('{"names":["b"]}')).toEqual({ ids: [], names: ['b'] })
  })

  it.each([['{'], ['null'], ['[]'], [7], ['{"ids":"a","names":[1]}']])(
    'finds nothing in %j',
    (data) => {
      expect(readEvent(data)).toEqual({ ids: [], names: [] })
    },
  )
})
