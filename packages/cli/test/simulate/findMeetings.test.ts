import { expect, it } from 'vitest'
import { findCollisions, findOverlaps } from '../../src/simulate/findMeetings.ts'

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute))
const run = (job: string, from: number, to: number) => ({ job, startsAt: at(from), endsAt: at(to) })

it('counts which jobs are due at the same instant, the most frequent first', () => {
  const due = (job: string, ...minutes: number[]) =>
    minutes.map((minute) => ({ job, at: at(minute) }))

  expect(findCollisions([...due('b', 0, 15, 30), ...due('a', 30, 15, 7), ...due('c', 30)])).toEqual(
    [
      { jobs: ['a', 'b'], count: 1, first: at(15) },
      { jobs: ['a', 'b', 'c'], count: 1, first: at(30) },
    ],
  )
  expect(findCollisions([...due('a', 1, 2, 3), ...due('b', 2, 3, 4)])).toEqual([
    { jobs: ['a', 'b'], count: 2, first: at(2) },
  ])
  expect(findCollisions(due('a', 1, 2))).toEqual([])
})

it('finds runs that are under way at the same time, also of one job, and not those that follow each other', () => {
  expect(
    findOverlaps([run('a', 0, 10), run('b', 5, 6), run('b', 9, 20), run('a', 10, 12)]),
  ).toEqual([{ jobs: ['a', 'b'], count: 3, first: at(5) }])
  expect(findOverlaps([run('a', 0, 10), run('a', 5, 15)])).toEqual([
    { jobs: ['a', 'a'], count: 1, first: at(5) },
  ])
  expect(findOverlaps([run('a', 0, 10), run('b', 10, 20), run('c', 5, 5)])).toEqual([])
})
