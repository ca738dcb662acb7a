import { describe, expect, it } from 'vitest'
import { createPace } from '../src/sweep.ts'

describe('createPace', () => {
  /** The pace after full batches that each take this long for a thousand rows. */
  function after(batches: number, msPerThousand: number): number {
    const pace = createPace()
    for (let batch = 0; batch < batches; batch += 1) {
      pace.changed(pace.rows(), (pace.rows() / 1_000) * msPerThousand)
    }
    return pace.rows()
  }

  it('does not take a slow first batch for a reason to shrink, and a quick one for one to grow', () => {
    expect(after(1, 1_000)).toBe(1_000)
    expect(after(1, 1)).toBe(20_000)
  })

  it('grows until a batch takes as long as it may', () => {
    expect(after(2, 1)).toBe(30_000)
    expect(after(2, 0.1)).toBe(50_000)
    expect(after(20, 1)).toBe(30_000)
  })

  it('shrinks until a batch is short enough', () => {
    expect(after(2, 100)).toBe(300)
    expect(after(20, 100)).toBe(300)
  })

  it('stays within bounds, however quick or slow the database is', () => {
    expect(after(50, 0)).toBe(50_000)
    expect(after(50, 100_000)).toBe(100)
  })

  it('does not take a quick batch of few rows for a reason to grow, and a slow one for one to shrink', () => {
    const pace = createPace()
    pace.changed(1_000, 30)
    pace.changed(10, 1)
    expect(pace.rows()).toBe(1_000)
    pace.changed(10, 60)
    expect(pace.rows()).toBe(500)
  })

  it('takes as many rows after a batch that was cut as that has changed, in proportion', () => {
    const pace = createPace()
    pace.changed(1_000, 1)
    pace.changed(2_000, 60, true)
    expect(pace.rows()).toBe(1_000)
    pace.changed(500, 60, true)
    expect(pace.rows()).toBe(250)
  })
})
