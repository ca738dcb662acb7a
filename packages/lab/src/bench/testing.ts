import { join } from 'node:path'
import { formatNumber, ms, table } from '../markdown.ts'
import { startProcess } from '../startProcess.ts'
import { median, summarise } from '../statistics.ts'
import type { Bench } from './openBench.ts'
import { defineScenario } from './scenario.ts'

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
  targets: ({ firstMs, nextMs }) => [
    {
      what: 'the first test of a file: enqueue, drain, assert',
      atMost: 100,
      unit: 'ms',
      measured: summarise(firstMs),
    },
    { what: 'each that follows, median', atMost: 100, unit: 'ms', measured: summarise(nextMs) },
  ],
  render({ tests, openMs, firstMs, nextMs }) {
    const row = (what: string, values: readonly number[]) => {
      const { median: middle, min, max } = summarise(values)
      return [what, ms(middle), `${formatNumber(min)}–${ms(max)}`]
    }
    return `\`openTestJobs\` with a pool of pg's; a test enqueues in a transaction, asserts that the work waits, and drains it through a handler that
writes in its batch. Each round is a process of its own with a database of its own.

${table(
  ['', 'median', 'range'],
  [
    row('opening, once a file', openMs),
    row('first test', firstMs),
    row(`${formatNumber(tests - 1)} that follow, median`, nextMs),
  ],
)}`
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
    const databaseUrl = await server.createDatabase('testing')
    const child = startProcess(TESTS_PROCESS, { settings: { databaseUrl, tests } })
    const [openMs = NaN, firstMs = NaN, ...nextMs] = await child.told<number[]>('tookMs')
    figures.openMs.push(openMs)
    figures.firstMs.push(firstMs)
    figures.nextMs.push(median(nextMs))
    await child.exited
  })
  return figures
}
