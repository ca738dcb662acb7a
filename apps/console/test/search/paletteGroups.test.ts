import type { ConsoleSearch } from '@roundsman/admin/contract'
import { describe, expect, it } from 'vitest'
import { paletteGroups, type PaletteContents } from '../../src/search/paletteGroups.ts'

const JOBS: PaletteContents['jobs'] = [
  {
    name: 'countSheep',
    description: 'Is done at once',
    schedule: {} as never,
    paused: null,
    dryRun: true,
  },
  {
    name: 'callPartner',
    description: 'Counts on a partner',
    schedule: null,
    paused: null,
    dryRun: false,
  },
]
const FOUND: ConsoleSearch = {
  jobs: [],
  labels: [
    {
      label: 'order 4711',
      run: { id: 'r2', name: 'a', outcome: 'failed', startedAt: '2026-11-24T12:00:00.000Z' },
    },
  ],
  schedules: [{ name: 'greet', key: 'osaka-12' }],
  keys: [{ name: 'sync', key: 'osaka-12' }],
  work: [{ workId: 'w1', name: 'sync', label: null, key: 'osaka-12', isDeadLetter: true }],
  runs: [{ id: 'r1', name: 'countSheep', outcome: 'lost', startedAt: '2026-11-24T12:00:00.000Z' }],
  errors: [
    {
      code: 'wolf',
      count: 2,
      isCut: true,
      thrown: 'TypeError at howl (src/wolf.ts:1:2)',
      message: 'A wolf came',
      lastAt: '2026-11-24T12:00:00.000Z',
    },
  ],
  workers: ['host:7'],
  isCut: true,
}

function labels(contents: Partial<PaletteContents>) {
  const groups = paletteGroups({ text: '', jobs: JOBS, mayAct: true, found: null, ...contents })
  return Object.fromEntries(
    groups.map(({ label, entries }) => [label, entries.map((entry) => entry.label)]),
  )
}

describe('the palette', () => {
  it('shows where one can go before anything is typed, and nothing to do', () => {
    expect(labels({})).toEqual({
      Pages: [
        'Overview',
        'Jobs',
        'Runs',
        'Queues',
        'Waiting',
        'Dead letters',
        'Limits',
        'Workers',
        'Failed runs',
        'Runs under way',
      ],
      Jobs: ['countSheep', 'callPartner'],
    })
  })

  it('narrows by every word, in any order, names before descriptions', () => {
    expect(labels({ text: 'count' }).Jobs).toEqual(['countSheep', 'callPartner'])
    expect(labels({ text: 'sheep RUN' })).toEqual({
      Actions: ['Run countSheep now', 'Dry run of countSheep'],
    })
    expect(labels({ text: 'partner RUN' })).toEqual({ Actions: ['Run callPartner now'] })
    expect(labels({ text: 'runs' }).Pages).toEqual(['Runs', 'Failed runs', 'Runs under way'])
  })

  it('offers what a job can do as it stands', () => {
    expect(labels({ text: 'pause' }).Actions).toEqual(['Pause the schedule of countSheep'])
    const paused = { at: '', by: null, reason: null }
    const jobs = JOBS.map((job) => ({ ...job, paused: job.schedule && paused }))
    expect(labels({ text: 'countSheep', jobs }).Actions).toContain(
      'Resume the schedule of countSheep',
    )
  })

  it('offers nothing to do to who may only look', () => {
    expect(labels({ text: 'countSheep', mayAct: false })).not.toHaveProperty('Actions')
  })

  it('leads to what the server has found', () => {
    const groups = paletteGroups({ text: 'wol', jobs: JOBS, mayAct: true, found: FOUND })
    const targets = groups.flatMap(({ entries }) => entries.map(({ target }) => target))
    expect(targets).toEqual([
      { link: { to: '/jobs/$name/schedules/$key', params: { name: 'greet', key: 'osaka-12' } } },
      { link: { to: '/jobs/$name/keys', params: { name: 'sync' }, search: { key: 'osaka-12' } } },
      { link: { to: '/waiting/$id', params: { id: 'w1' } } },
      { link: { to: '/runs', search: { label: 'order 4711' } } },
      { link: { to: '/runs/$id', params: { id: 'r1' } } },
      { link: { to: '/runs', search: { errorCode: 'wolf' } } },
      { link: { to: '/runs', search: { worker: 'host:7' } } },
    ])
  })
})
