import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { median, ratios, summarise } from '../statistics.ts'
import {
  measureQueue,
  STATEMENTS,
  type PieceCost,
  type QueueFigures,
  type Wear,
} from './measureQueue.ts'

const LABELS: Record<(typeof STATEMENTS)[number], string> = {
  claimMany: 'a claim of 2,000, behind the one before',
  claimOne: 'a claim of one, from the floor',
  end: 'the ends of 2,000',
  round: 'a round: places for what is due, and the floor',
}

export const queue = defineScenario<QueueFigures>({
  name: 'queue',
  title: 'A queue of the engine’s own, sketched',
  rounds: 5,
  measure: measureQueue,
  targets(figures) {
    const { median: measured, ...spread } = summarise(
      ratios(of(figures.costs.sketch, 'perSecond'), of(figures.costs.today, 'perSecond')),
    )
    return [
      {
        what: 'drawn histories in which a claim’s beginning strands work',
        atMost: 0,
        unit: '',
        measured: figures.histories.wrong,
      },
      {
        what: 'pieces a second by SQL alone, to today’s',
        atLeast: 1.2,
        unit: '×',
        measured,
        spread,
      },
      {
        what: 'all statements of a lot under an old snapshot, the last tenth to the first',
        atMost: 1.2,
        unit: '×',
        measured: growth(figures.wear.snapshot),
      },
      {
        what: 'the same beside delayed work',
        atMost: 1.2,
        unit: '×',
        measured: growth(figures.wear.delayed),
      },
    ]
  },
  render(figures) {
    const { pieces, worn, delayed, costs, wear, histories } = figures
    const cost = (side: keyof typeof costs, what: keyof PieceCost) =>
      formatNumber(median(of(costs[side], what)))
    const costRow = (label: string, what: keyof PieceCost) => [
      label,
      cost('today', what),
      cost('sketch', what),
    ]
    const wearRow = (statement: (typeof STATEMENTS)[number]) => [
      LABELS[statement],
      ...[wear.snapshot, wear.delayed].flatMap(({ first, last }) => [
        `${formatNumber(first[statement])} ms`,
        `${formatNumber(last[statement])} ms`,
      ]),
    ]
    return `Statements alone, by two bare connections and without handlers: ${formatNumber(pieces)} pieces that wait, taken 2,000 at a time and ended.
Today’s are recorded from a worker; the sketch’s (\`packages/lab/src/bench/queue\`) ask for all that the engine’s have to ask for. Where a claim
begins (\`floor.ts\`) was tried in ${formatNumber(histories.played)} drawn histories of late commits, roll-backs and deaths: ${formatNumber(histories.taken)} pieces taken, ${formatNumber(histories.wrong)} histories wrong.

${table(
  ['a piece', 'today', 'sketch'],
  [
    costRow('a second', 'perSecond'),
    costRow('processor time of PostgreSQL’s connections, µs', 'backendUs'),
    costRow('bytes of log', 'logBytes'),
  ],
)}

The sketch alone, as it wears: ${formatNumber(worn)} pieces under a snapshot that is held from before the first, and ${formatNumber(worn / 4)} beside ${formatNumber(delayed)} that
are due tomorrow. 4,000 come at a time. Medians of the first and of the last tenth.

${table(['', 'snapshot, first', 'last', 'delayed, first', 'last'], STATEMENTS.map(wearRow))}`
  },
  plots: () => [],
})

function of(costs: readonly PieceCost[], what: keyof PieceCost): number[] {
  return costs.map((cost) => cost[what])
}

/** Two claims of 2,000 and one of one with their ends, and a round: what a second has. */
function growth({ first, last }: Wear): number {
  const sum = (all: Wear['first']) => 2 * (all.claimMany + all.end) + all.claimOne + all.round
  return sum(last) / sum(first)
}
