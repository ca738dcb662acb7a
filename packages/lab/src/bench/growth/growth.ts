import { formatNumber, table } from '../markdown.ts'
import { defineScenario, type Target } from '../scenario.ts'
import { ratios, summarise } from '../statistics.ts'
import { measureGrowth, SIDES, type GrowthFigures, type GrowthSide } from './measureGrowth.ts'

export const growth = defineScenario<GrowthFigures>({
  name: 'growth',
  title: 'Much waiting, much history, many workers',
  rounds: 5,
  measure: measureGrowth,
  targets(figures) {
    const { waiting, runs, claimOneMs, claimManyMs, perSecond, enqueuedPerSecond } = figures
    const much = `with ${formatNumber(waiting.many)} waiting, to ${formatNumber(waiting.few)}`
    const long = `after ${formatNumber(runs.history)} runs, to a fresh database`
    return [
      { ...against(claimOneMs, 'many', `claim of 1 ${much}`), atMost: 1.3 },
      { ...against(claimManyMs, 'many', `claim of 2,000 ${much}`), atMost: 1.3 },
      { ...against(perSecond, 'history', `jobs/s ${long}`), atLeast: 0.9 },
      {
        ...against(enqueuedPerSecond, 'history', `rows/s put into the queue ${long}`),
        atLeast: 0.9,
      },
      { ...against(enqueuedPerSecond, 'many', `rows/s put into the queue ${much}`), atLeast: 0.9 },
      ...figures.rounds.map(({ workers, jobs, claims, holders, ms }) => {
        const { median, ...spread } = summarise(ms)
        return {
          what:
            claims === 0
              ? `a round of one of ${workers} idle workers of ${jobs} jobs`
              : `a round beside ${formatNumber(claims)} claims of ${holders} workers`,
          atMost: claims === 0 ? 5 : 10,
          unit: 'ms',
          measured: median,
          spread,
        }
      }),
    ]
  },
  render(figures) {
    const { waiting, runs, claimOneMs, claimManyMs, perSecond, enqueuedPerSecond } = figures
    const of = (values: Record<GrowthSide, number[]>, side: GrowthSide) =>
      formatNumber(summarise(values[side]).median)
    return `What a database holds that is used for long or by many. A claim is what the server's log says PostgreSQL took for the
statement, planning included, by a worker that runs one at a time or 4,000; jobs/s is that worker's way through
work that does nothing, from its start. A round is what each worker asks once a second: its sign of life, whose worker is
gone, and which jobs have work.

${table(
  ['waiting', 'runs before', 'claim of 1', 'claim of 2,000', 'jobs/s', 'rows/s enqueued'],
  SIDES.map((side) => [
    formatNumber(waiting[side]),
    formatNumber(runs[side]),
    `${of(claimOneMs, side)} ms`,
    `${of(claimManyMs, side)} ms`,
    of(perSecond, side),
    of(enqueuedPerSecond, side),
  ]),
)}

${forATeam(figures)}`
  },
  plots: ({ waiting, runs, claimManyMs, enqueuedPerSecond }) => [
    {
      name: 'claims',
      title: 'What PostgreSQL takes for a claim of 2,000',
      unit: 'ms',
      bars: (['few', 'many'] as const).map((side) => {
        const { median, ...spread } = summarise(claimManyMs[side])
        return {
          label: `${formatNumber(waiting[side])} waiting`,
          value: median,
          spread,
          isOurs: true,
        }
      }),
    },
    {
      name: 'enqueued',
      title: 'Rows put into the queue a second',
      unit: '/s',
      bars: SIDES.map((side) => {
        const { median, ...spread } = summarise(enqueuedPerSecond[side])
        const label = `${formatNumber(waiting[side])} waiting, ${formatNumber(runs[side])} runs before`
        return { label, value: median, spread, isOurs: true }
      }),
    },
  ],
})

const RUNS_A_DAY = 100_000

function forATeam({
  waiting,
  runs,
  claimManyMs,
  perSecond,
  enqueuedPerSecond,
  rounds,
}: GrowthFigures): string {
  const ratio = (values: Record<GrowthSide, number[]>, side: GrowthSide) =>
    formatNumber(summarise(ratios(values[side], values.few)).median)
  const speed = summarise(perSecond.many).median
  const idle = rounds.find(({ claims }) => claims === 0)
  const inUse = (idle?.workers ?? NaN) * summarise(idle?.ms ?? [NaN]).median
  return `For a team whose queue has piled up over a weekend, with ${formatNumber(waiting.many)} pieces waiting: taking some costs ${ratio(claimManyMs, 'many')} × what it costs
with ${formatNumber(waiting.few)}, and putting more behind them goes ${ratio(enqueuedPerSecond, 'many')} × as fast; a worker is through all of it in ${formatNumber(waiting.many / speed)} s, and whatever its
handlers take. With ${formatNumber(RUNS_A_DAY)} runs a day, ${formatNumber(runs.history)} are there after ${formatNumber(runs.history / RUNS_A_DAY)} days, and a worker is ${ratio(perSecond, 'history')} × as fast then. ${formatNumber(idle?.workers ?? NaN)} idle workers of
${formatNumber(idle?.jobs ?? NaN)} jobs cost PostgreSQL ${formatNumber(inUse)} ms of each second.`
}

/** Compares what was measured on this side with the small one, `few`: the median ratio, for a target that `what` names. */
function against(
  values: Record<GrowthSide, number[]>,
  side: GrowthSide,
  what: string,
): Omit<Target, 'atMost' | 'atLeast'> {
  const { median, ...spread } = summarise(ratios(values[side], values.few))
  return { what, unit: '×', measured: median, spread }
}
