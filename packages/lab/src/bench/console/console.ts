import { formatNumber, ms, range, table } from '../../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { compare, median, summarise } from '../../statistics.ts'
import { measureConsole, SIZES, type ConsoleFigures, type MeasuredStep } from './measureConsole.ts'
import { KINDS, type StepKind } from './steps.ts'

const TITLES = {
  screen: 'a page, from its address',
  filter: 'the list of runs, narrowed to',
  combined: 'the list of runs from its address, narrowed to',
  page: 'page by page',
  search: 'by the search',
} as const satisfies Record<StepKind, string>

const OBSTACLE =
  'no index holds the labels of waiting work, since it would cost each piece that is enqueued: all that waits is looked through'

/** Bars of a drawing that one still reads. */
const PLOTTED = 15

export const consoleScenario = defineScenario<ConsoleFigures>({
  name: 'console',
  title: 'The console over many runs',
  rounds: 3,
  measure: measureConsole,
  targets({ steps }) {
    const slowest = (values: (step: MeasuredStep) => number[]) =>
      steps
        .map((step) => ({ step, ...summarise(values(step)) }))
        .toSorted((one, other) => other.median - one.median)[0]
    const shown = slowest(({ shownMs }) => shownMs.many)
    const answered = slowest(({ answerMs }) => answerMs.many)
    return [
      {
        what: 'the slowest of all pages, filters and searches, until it is shown',
        atMost: 1_000,
        unit: 'ms',
        measured: shown ?? null,
        note: shown && `slowest: ${shown.step.what}`,
        obstacle: OBSTACLE,
      },
      {
        what: 'the slowest answer of the server to any of them',
        atMost: 500,
        unit: 'ms',
        measured: answered ?? null,
        note: answered && `slowest: ${answered.step.what}, ${answered.step.slowest}`,
        obstacle: OBSTACLE,
      },
      {
        what: 'all of them one after the other, many runs to few',
        atMost: 1.5,
        unit: '×',
        measured: compare(sumRounds(steps, 'many'), sumRounds(steps, 'few')),
      },
    ]
  },
  render({ sizes, fillMs, compared, steps }) {
    const [few, many] = SIZES.map((size) => formatNumber(sizes[size].runs))
    const line = ({ what, shownMs, answerMs }: MeasuredStep) => [
      what,
      ms(median(shownMs.few)),
      ms(median(shownMs.many)),
      range(summarise(shownMs.many)),
      ms(median(answerMs.few)),
      ms(median(answerMs.many)),
      formatNumber(compare(shownMs.many, shownMs.few).median),
    ]
    return `A browser (Chromium, headless) in front of two consoles as \`npx roundsman console\` serves them, over ${few} runs and over ${many}
(filled in within ${formatNumber(fillMs / 1_000)} s), with ${formatNumber(sizes.many.waiting)} pieces of waiting work and ${formatNumber(sizes.many.deadLetters)} dead letters beside the latter. It does what a person
does, by turns with few and with many: the time runs by the browser's own clock from the key or click, or from the
beginning of the page's load, until the frame after the one in which the right rows are there and nothing is under way. The
server's answer is the slowest of those that were waited for, to its last byte. The search waits for 150 ms after what was
typed last. Which rows are right, plain SQL says: ${formatNumber(compared)} of ${formatNumber(compared)} pages showed these, and each row its job, label, outcome and
code; one that had not, or an error of any kind, would have ended the measurement.

exportOrders has not run for the last third of the history, syncStock only since its last fiftieth, pruneRows seldom, and
sweepCarts never. Worker, duration and parts of labels have no index: of these one look goes through 50,000 runs.

${KINDS.map((kind) =>
  table(
    [
      TITLES[kind],
      `shown, ${few}`,
      `shown, ${many}`,
      'all rounds',
      `answer, ${few}`,
      `answer, ${many}`,
      'many to few',
    ],
    steps.filter((step) => step.kind === kind).map(line),
  ),
).join('\n\n')}`
  },
  plots: ({ sizes, steps }) => [
    {
      name: 'shown',
      title: `The slowest, until they are shown, with ${formatNumber(sizes.many.runs)} runs`,
      unit: 'ms',
      limit: { label: 'target 1,000 ms', value: 1_000 },
      bars: steps
        .map(({ what, shownMs }) => ({
          label: what,
          value: summarise(shownMs.many),
          isOurs: true,
        }))
        .toSorted((one, other) => other.value.median - one.value.median)
        .slice(0, PLOTTED),
    },
  ],
})

/** The time of all steps together, of each round. */
function sumRounds(steps: readonly MeasuredStep[], size: (typeof SIZES)[number]): number[] {
  const rounds = steps[0]?.shownMs[size].length ?? 0
  return Array.from({ length: rounds }, (_, round) =>
    steps.reduce((sum, { shownMs }) => sum + (shownMs[size][round] ?? NaN), 0),
  )
}
