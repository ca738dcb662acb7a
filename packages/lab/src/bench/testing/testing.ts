import { formatNumber, table } from '../markdown.ts'
import { defineScenario } from '../scenario.ts'
import { summarise } from '../statistics.ts'
import { measureTesting, type TestingFigures } from './measureTesting.ts'

export const testing = defineScenario<TestingFigures>({
  name: 'testing',
  title: "A product's own tests",
  rounds: 5,
  measure: measureTesting,
  targets({ firstMs, nextMs }) {
    const [first, next] = [summarise(firstMs), summarise(nextMs)]
    return [
      {
        what: 'the first test of a file: enqueue, drain, assert',
        atMost: 100,
        unit: 'ms',
        measured: first.median,
        spread: first,
      },
      {
        what: 'each that follows, median',
        atMost: 100,
        unit: 'ms',
        measured: next.median,
        spread: next,
      },
    ]
  },
  render({ tests, openMs, firstMs, nextMs }) {
    const rows = (
      [
        ['opening, once a file', openMs],
        ['first test', firstMs],
        [`${formatNumber(tests - 1)} that follow, median`, nextMs],
      ] as const
    ).map(([what, values]) => {
      const { median, min, max } = summarise(values)
      return [what, `${formatNumber(median)} ms`, `${formatNumber(min)}–${formatNumber(max)} ms`]
    })
    return `\`openTestJobs\` with a pool of pg's; a test enqueues in a transaction, asserts that the work waits, and drains it through a handler that
writes in its batch. Each round is a process of its own with a database of its own.

${table(['', 'median', 'range'], rows)}`
  },
  plots: () => [],
})
