import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { storeResult, type StoredResult } from '../../src/bench/results.ts'
import { defineScenario, type Target } from '../../src/bench/scenario.ts'
import { isMet, reportPlace, writeReport } from '../../src/bench/writeReport.ts'

const speed = defineScenario<{ perSecond: number }>({
  name: 'speed',
  title: 'How fast, really?',
  rounds: 3,
  measure: async () => ({ perSecond: 1 }),
  targets: ({ perSecond }) => [
    {
      what: 'a|b a second',
      atLeast: 100,
      unit: 'jobs/s',
      measured: perSecond,
      obstacle: 'the disk',
    },
    { what: 'with Redis', atLeast: 1, unit: '×', measured: null, note: 'no redis-server' },
  ],
  render: ({ perSecond }) => `It made ${perSecond}.`,
  plots: ({ perSecond }) => [
    {
      name: 'bars',
      title: 'Faster & faster',
      unit: 'jobs/s',
      bars: [{ label: '<ours>', value: { median: perSecond, min: 1, max: perSecond } }],
    },
  ],
})
const memory = defineScenario<{ mb: number }>({
  ...speed,
  name: 'memory',
  title: 'Memory',
  measure: async () => ({ mb: 1 }),
  targets: ({ mb }) => [
    { what: 'resident', atMost: 120, unit: 'MB', measured: mb, obstacle: 'none' },
  ],
  render: ({ mb }) => `It took ${mb} MB.`,
  plots: () => [],
})

const result = (scenario: string, figures: unknown): StoredResult => ({
  scenario,
  measuredAt: '2026-01-02T03:04:05.678Z',
  commit: 'abc123',
  scale: 'full',
  seed: 1,
  durationMs: 1_500,
  loads: [0.5, 1.5],
  machine: { cpu: 'A CPU', cores: 2, memoryGb: 8, system: 'A system', node: 'v24' },
  postgres: '18.4',
  figures,
})

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roundsman-report-'))
})

afterEach(() => rm(folder, { recursive: true }))

const write = () => writeReport([speed, memory], reportPlace(folder))
const report = () => readFile(join(folder, 'bench.md'), 'utf8')

describe('writeReport', () => {
  it('lists every target with what was measured and whether it is met', async () => {
    await storeResult(join(folder, 'bench'), result('speed', { perSecond: 99 }))
    await storeResult(join(folder, 'bench'), result('memory', { mb: 80 }))

    expect(await write()).toEqual({ missed: 1 })
    const text = await report()
    expect(text).toContain(
      '| [speed](#how-fast-really): a\\|b a second | ≥ 100 jobs/s | 99 jobs/s |  | **no** | the disk |',
    )
    expect(text).toContain('| – |  | not measured | no redis-server |')
    expect(text).toContain('| [memory](#memory): resident | ≤ 120 MB | 80 MB |  | yes |  |')
  })

  it('keeps the section of a scenario that is not measured again, with its date and commit', async () => {
    await storeResult(join(folder, 'bench'), result('speed', { perSecond: 200 }))
    await write()
    await storeResult(join(folder, 'bench'), {
      ...result('memory', { mb: 80 }),
      measuredAt: '2026-05-06T07:08:09.000Z',
      commit: 'def456+',
    })
    await write()

    const text = await report()
    expect(text).toContain('It made 200.')
    expect(text).toMatch(/2026-01-02 03:04 UTC · commit abc123 .* load 1 \(0\.50 to 1\.50\)/)
    expect(text).toContain('It took 80 MB.')
    expect(text).toContain('2026-05-06 07:08 UTC · commit def456+')
  })

  it('draws, and takes drawings away that nobody names any more', async () => {
    await storeResult(join(folder, 'bench'), result('speed', { perSecond: 200 }))
    await write()
    expect(await report()).toContain('![Faster & faster](bench/speed-bars.svg)')
    const drawing = await readFile(join(folder, 'bench/speed-bars.svg'), 'utf8')
    expect(drawing).toContain('&lt;ours&gt;')
    expect(drawing).toContain('Faster &amp; faster')
    expect(drawing).toContain('200 jobs/s')

    await writeReport([memory], reportPlace(folder))
    expect(await readdir(join(folder, 'bench'))).toEqual(['speed.json'])
  })
})

describe('isMet', () => {
  const target = (limits: Partial<Target>, measured: number | null): Target => ({
    what: '',
    unit: '',
    measured,
    ...limits,
  })

  it.each([
    [{ atLeast: 1 }, 1, true],
    [{ atLeast: 1 }, 0.99, false],
    [{ atMost: 50 }, 50, true],
    [{ atMost: 50 }, 50.1, false],
    [{ atLeast: 1 }, null, null],
    [{ atMost: 1 }, NaN, null],
  ])('judges %j by %j: %j', (limits, measured, met) => {
    expect(isMet(target(limits, measured))).toBe(met)
  })
})
