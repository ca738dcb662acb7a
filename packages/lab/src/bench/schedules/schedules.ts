import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { summarise } from '../statistics.ts'
import { measureSchedules, type SchedulesFigures } from './measureSchedules.ts'

export const schedules = defineScenario<SchedulesFigures>({
  name: 'schedules',
  title: 'Schedules',
  rounds: 1,
  measure: measureSchedules,
  targets({ rounds }) {
    const recorded = summarise(
      rounds.map((round) => ((round.recorded - round.surplusRuns) / round.due) * 100),
    )
    const ran = summarise(rounds.map(({ due, ranOnce }) => (ranOnce / due) * 100))
    const p99 = summarise(rounds.map((round) => round.p99))
    return [
      {
        what: 'ticks that are in the ledger exactly once, and run no more than once',
        atLeast: 100,
        unit: '%',
        measured: recorded.median,
        spread: recorded,
      },
      {
        what: 'ticks that were run',
        atLeast: 100,
        unit: '%',
        measured: ran.median,
        spread: ran,
        obstacle:
          'a machine that is this busy: a tick is skipped while the run before it has not ended, and coalesced when the next is due',
      },
      {
        what: 'lateness of a start, p99',
        atMost: 100,
        unit: 'ms',
        measured: p99.median,
        spread: p99,
        obstacle: 'every worker looks into the queue of each job by itself',
      },
    ]
  },
  render({ schedules: count, workers, seconds, rounds }) {
    const rows = rounds.map((round) => [
      formatNumber(round.due),
      formatNumber(round.recorded),
      formatNumber(round.ranOnce),
      formatNumber(round.surplusRuns),
      Object.entries(round.outcomes)
        .map(([outcome, ticks]) => `${formatNumber(ticks)} ${outcome}`)
        .join(', '),
      `${formatNumber(round.p50)} ms`,
      `${formatNumber(round.p99)} ms`,
      `${formatNumber(round.longest)} ms`,
    ])
    return `${formatNumber(count)} jobs that are due every second, with the policies that a job has by default, ${workers} workers in processes of
their own on one database, ${formatNumber(seconds)} seconds. Lateness is from the instant that the schedule names to the run's start.

${table(['ticks due', 'in the ledger once', 'run once', 'surplus runs', 'outcomes', 'late p50', 'late p99', 'latest'], rows)}`
  },
  plots: () => [],
})
