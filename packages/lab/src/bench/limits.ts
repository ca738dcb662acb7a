import { formatNumber, table } from '../markdown.ts'
import { bySide, compare, summarise } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { withClient } from './openServer.ts'
import { defineScenario } from './scenario.ts'
import { timeWorkers } from './startWorkers.ts'
import type { WorkersSettings } from './workersProcess.ts'

/** By what the work is limited, and how it is divided. */
interface SideOptions {
  label: string
  limits?: WorkersSettings['limits']
  keys?: number
  /** Room for so many runs in the worker. Default: ROOM. */
  room?: number
}

const SIDES = {
  none: { label: 'no limit, no keys' },
  fifty: { label: 'no limit, room for 50 in the worker', room: 50 },
  global: { label: 'global 50', limits: { global: 50 } },
  few: { label: 'perKey, 20 keys', keys: 20 },
  many: { label: 'perKey, 200 keys', keys: 200 },
  most: { label: 'perKey, 2,000 keys', keys: 2_000 },
} satisfies Record<string, SideOptions>
type Side = keyof typeof SIDES
const NAMES = Object.keys(SIDES) as Side[]

interface LimitFigures {
  jobs: number
  perSecond: Record<Side, number[]>
}

const ROOM = 1_000
const PER_KEY = 100

export const limits = defineScenario<LimitFigures>({
  name: 'limits',
  title: 'Limits over all workers, and keys',
  rounds: 3,
  measure: measureLimits,
  targets({ perSecond }) {
    const against = (side: Side, atLeast: number) => ({
      what: `jobs/s with ${SIDES[side].label}, to ${SIDES.none.label}`,
      atLeast,
      unit: '×',
      measured: compare(perSecond[side], perSecond.none),
    })
    const slots = summarise(perSecond.fifty).median / summarise(perSecond.none).median
    const obstacle = `no more than 50 run between a claim and its ends: without a limit, room for 50 alone makes it ${formatNumber(slots)} ×`
    return [
      { ...against('global', 0.5), obstacle },
      against('few', 0.7),
      against('many', 0.7),
      against('most', 0.4),
    ]
  },
  render({ jobs, perSecond }) {
    const rows = NAMES.map((side) => [
      SIDES[side].label,
      formatNumber(summarise(perSecond[side]).median),
      formatNumber(compare(perSecond[side], perSecond.none).median),
    ])
    return `${formatNumber(jobs)} pieces that do nothing wait; one worker with room for ${formatNumber(ROOM)} goes through them. With keys, each has as
many pieces as the others, and at most ${PER_KEY} of a key run at once.

${table(['', 'jobs/s', '× without'], rows)}`
  },
  plots: ({ perSecond }) => [
    {
      name: 'jobs',
      title: 'Jobs per second by what limits them',
      unit: 'jobs/s',
      bars: NAMES.map((side) => ({
        label: SIDES[side].label,
        value: summarise(perSecond[side]),
        isOurs: true,
      })),
    },
  ],
})

async function measureLimits(bench: Bench): Promise<LimitFigures> {
  const server = await bench.server()
  const jobs = bench.sized({ small: 500, full: 40_000 })
  const perSecond = bySide(NAMES, (): number[] => [])
  await bench.interleave(NAMES, async (side) => {
    const of: SideOptions = SIDES[side]
    const databaseUrl = await server.createDatabase('limits')
    await withClient(databaseUrl, async (client) => {
      await client.query(
        `insert into "JobWork" ("id", "name", "bytes", "payload", "key")
         select gen_random_uuid(), 'noop0', 2, '{}', case when $2::int > 0 then 'tenant ' || n % $2::int end from generate_series(1, $1::int) n`,
        [jobs, of.keys ?? 0],
      )
      await client.query('vacuum analyze "JobWork"')
    })
    const handledMs = await timeWorkers({
      databaseUrl,
      count: jobs,
      concurrency: of.room ?? ROOM,
      limits: of.keys === undefined ? of.limits : { perKey: PER_KEY },
    })
    await server.dropDatabase('limits')
    perSecond[side].push((jobs / handledMs) * 1_000)
  })
  return { jobs, perSecond }
}
