import { describe, expect, it } from 'vitest'
import {
  inTurn,
  latencyOf,
  median,
  middle,
  quantile,
  ratios,
  summarise,
} from '../src/statistics.ts'

describe('quantile', () => {
  it('is the value below which that share lies, whatever the order', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect(quantile(values, 0.5)).toBe(51)
    expect(quantile(values, 0.99)).toBe(100)
    expect(quantile(values, 1)).toBe(100)
  })
})

describe('median', () => {
  it('is the one in the middle, or the mean of the two there', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
  })
})

describe('summarise', () => {
  it('says how far the rounds lie apart', () => {
    expect(summarise([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 })
  })
})

describe('ratios', () => {
  it('compares within each round', () => {
    expect(ratios([10, 30], [10, 20])).toEqual([1, 1.5])
  })

  it('refuses sides of which one has more rounds', () => {
    expect(() => ratios([1, 2], [1])).toThrow('2 rounds on one side and 1 on the other')
  })
})

describe('middle', () => {
  it('takes each quantile from the round in its middle', () => {
    const rounds = [latencyOf([1]), latencyOf([2]), latencyOf([30])]
    expect(middle(rounds)).toEqual({ p50: 2, p99: 2 })
  })
})

describe('inTurn', () => {
  it('lets another begin in every other round', () => {
    expect([0, 1, 2].map((round) => inTurn(['a', 'b'], round)[0])).toEqual(['a', 'b', 'a'])
  })
})
