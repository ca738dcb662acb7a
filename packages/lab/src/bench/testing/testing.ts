import { join } from 'node:path'
import { formatNumber, table } from '../markdown.ts'
import type { Bench } from '../openBench.ts'
import { defineScenario } from '../scenario.ts'
import { startProcess } from '../startProcess.ts'
import { median, summarise } from '../statistics.ts'

interface TestingFigures {
  tests: number
  /** In each round, in milliseconds. */
  openMs: number[]
  firstMs: number[]
  /** The median of the tests that follow. */
  nextMs: number[]
}

const TESTS_PROCESS = join(import.meta.dirname, 'testsProcess.ts')

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
      const { median: middle, min, max } = summarise(values)
      return [what, `${formatNumber(middle)} ms`, `${formatNumber(min)}–${formatNumber(max)} ms`]
    })
    return `\`openTestJobs\` with a pool of pg's; a test enqueues in a transaction, asserts that the work waits, and drains it through a handler that
writes in its batch. Each round is a process of its own with a database of its own.

${table(['', 'median', 'range'], rows)}`
  },
  plots: () => [],
})

/** Runs each round in a process of its own, like a test file, and in a database in which nobody has tested before. */
async function measureTesting(bench: Bench): Promise<TestingFigures> {
  const tests = bench.sized({ small: 3, full: 50 })
  const server = await bench.server()
  const figures: TestingFigures = { tests, openMs: [], firstMs: [], nextMs: [] }
  await bench.interleave(['tests'], async (_, round) => {
    bench.progress(`round ${round + 1}`)
    const url = await server.createDatabase('testing')
    const child = startProcess(TESTS_PROCESS, { args: [url, String(tests)] })
    await child.line(/^ready$/)
    child.send('go')
    const [, text = '[]'] = await child.line(/^took (.+)$/)
    const [openMs = NaN, firstMs = NaN, ...nextMs] = JSON.parse(text) as number[]
    figures.openMs.push(openMs)
    figures.firstMs.push(firstMs)
    figures.nextMs.push(median(nextMs))
    await child.exited
  })
  return figures
}
