import { describe, expect, it } from 'vitest'
import { DEADLY } from '../../src/hostile/deadlyOutcomes.ts'
import { drawOutcome } from '../../src/hostile/drawOutcome.ts'

describe('a seed', () => {
  const draw = (seed: number) =>
    Array.from({ length: 500 }, (_, number) => {
      const { kind, ends } = drawOutcome(seed, number)
      return `${kind} ${ends}`
    })

  it('names the same outcomes each time, and another seed others', () => {
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('draws every kind, none of which ends a process', () => {
    const kinds = new Set(
      Array.from({ length: 3_000 }, (_, number) => drawOutcome(7, number).kind as string),
    )
    expect(kinds.size).toBe(10)
    expect(DEADLY.filter(({ kind }) => kinds.has(kind))).toEqual([])
  })
})
