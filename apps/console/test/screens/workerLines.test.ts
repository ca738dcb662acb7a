import { expect, it } from 'vitest'
import { workerLines } from '../../src/screens/overview/WorkerList.tsx'

function run(name: string, second: number, done?: number) {
  const progress = done === undefined ? null : { done, total: 3 }
  return { id: `${name} ${second}`, name, startedAt: `2026-11-24T10:00:0${second}.000Z`, progress }
}

it('gives a few runs a line each', () => {
  const running = [run('syncOrder', 1), run('syncOrder', 2), run('importFeed', 3)]
  expect(workerLines(running).map(({ kind }) => kind)).toEqual(['run', 'run', 'run'])
})

it('folds many of one job into a line, with the oldest, and keeps those that tell their progress', () => {
  const running = [
    run('syncOrder', 4),
    run('syncOrder', 2),
    run('syncOrder', 3, 1),
    run('importFeed', 5),
  ]
  expect(workerLines(running)).toEqual([
    { kind: 'group', name: 'syncOrder', count: 2, oldestStartedAt: '2026-11-24T10:00:02.000Z' },
    { kind: 'run', run: running[2] },
    { kind: 'run', run: running[3] },
  ])
})

it('has no group where all of them tell their progress', () => {
  const running = [run('syncOrder', 1, 1), run('syncOrder', 2, 1), run('syncOrder', 3, 1)]
  expect(workerLines(running).map(({ kind }) => kind)).toEqual(['run', 'run', 'run'])
})
