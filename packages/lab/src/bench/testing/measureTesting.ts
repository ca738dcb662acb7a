import { join } from 'node:path'
import type { Bench } from '../openBench.ts'
import { startProcess } from '../startProcess.ts'
import { median } from '../statistics.ts'

export interface TestingFigures {
  tests: number
  /** Of each round, in milliseconds. */
  openMs: number[]
  firstMs: number[]
  /** The median of those that follow. */
  nextMs: number[]
}

const TESTS_PROCESS = join(import.meta.dirname, 'testsProcess.ts')

/** Each round in a process of its own, as a file of tests is, and in a database in which nobody has tested before. */
export async function measureTesting(bench: Bench): Promise<TestingFigures> {
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
