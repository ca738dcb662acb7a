import { expect, it } from 'vitest'
import { diffLines } from '../../src/init/diffLines.ts'

const text = (...lines: (number | string)[]) => lines.join('\n')

it('shows what changes, with three lines around it', () => {
  const before = text(1, 2, 3, 4, 5, 6, 7, 8, 9)
  expect(diffLines(before, text(1, 2, 3, 4, 'five', 6, 7, 8, 9))).toEqual([
    ' 2',
    ' 3',
    ' 4',
    '-5',
    '+five',
    ' 6',
    ' 7',
    ' 8',
  ])
  expect(diffLines(before, before)).toEqual([])
})

it('marks where lines are left out between two changes', () => {
  const lines = Array.from({ length: 20 }, (_, nth) => nth)
  expect(diffLines(text(...lines), text(-1, ...lines, 20))).toEqual([
    '+-1',
    ' 0',
    ' 1',
    ' 2',
    '@@',
    ' 17',
    ' 18',
    ' 19',
    '+20',
  ])
})
