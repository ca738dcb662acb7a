import { expect, it } from 'vitest'
import { mostAtOnce, swimLanes } from '../../src/charts/swimLanes.ts'

const NOON = Date.parse('2026-11-24T12:00:00Z')

function run(name: string, from: number, to: number | null) {
  const at = (second: number) => new Date(NOON + second * 1_000).toISOString()
  return {
    id: `${name} ${from}`,
    name,
    label: null,
    status: to === null ? ('running' as const) : ('success' as const),
    outcome: to === null ? ('running' as const) : ('success' as const),
    errorCode: null,
    startedAt: at(from),
    createdAt: at(from),
    endedAt: to === null ? null : at(to),
  }
}

it('has as many lanes as there were runs of a job at once, and uses one again once it is free', () => {
  const runs = [
    run('sync', 0, 5),
    run('sync', 1, 3),
    run('mail', 2, 4),
    run('sync', 3, 9),
    run('sync', 5, null),
  ]
  const jobs = swimLanes(runs, NOON + 10_000)
  expect(jobs.map(({ name, lanes }) => [name, lanes])).toEqual([
    ['sync', 2],
    ['mail', 1],
  ])
  expect(jobs[0]?.runs.map(({ lane }) => lane)).toEqual([0, 1, 1, 0])
  expect(jobs[0]?.runs.at(-1)?.toMs).toBe(NOON + 10_000)
})

it('counts how many were under way at once, of all jobs', () => {
  const runs = [run('sync', 0, 5), run('mail', 2, 4), run('sync', 4, 9), run('sync', 4, null)]
  expect(mostAtOnce(runs, NOON + 10_000)).toBe(3)
  expect(mostAtOnce([], NOON)).toBe(0)
  expect(mostAtOnce([run('sync', 0, 0)], NOON)).toBe(1)
})
