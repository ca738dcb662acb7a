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

For a team whose queue has piled up over a weekend: taking the work from it costs what it always costs.`
  },
  plots: ({ waiting, claimManyMs }) => [
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
  ],
})

function against(
  values: Record<GrowthSide, number[]>,
  side: GrowthSide,
  what: string,
): Omit<Target, 'atMost' | 'atLeast'> {
  const { median, ...spread } = summarise(ratios(values[side], values.few))
  return { what, unit: '×', measured: median, spread }
}
