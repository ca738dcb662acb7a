import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { defineConfig } from 'vitest/config'
import type { Reporter } from 'vitest/node'

// Tests load our packages from their sources: they need no build, and none can be stale.
const conditions = ['@roundsman/source', 'module', 'node', 'development|production']

const TESTING = join(import.meta.dirname, 'packages/testing/src')

const TESTS = [
  'packages/*/test/**/*.test.ts',
  'apps/*/{test,e2e}/**/*.test.ts',
  'scripts/test/**/*.test.ts',
]
/** These compile and run products that have what we publish, which is packed once for them: minutes of a compiler's work. */
const PACKED = ['scripts/test/init/*.test.ts', 'scripts/test/release.test.ts']
const GUIDE = 'scripts/test/guide/*.test.ts'
const testFiles = globSync(TESTS, {
  cwd: import.meta.dirname,
  exclude: ['**/node_modules', ...PACKED, GUIDE],
})
const notQuick = testFiles.filter(beginsWith('// Not quick: '))
/** `pnpm check` tells which have to begin so: see `scripts/check/checkTests.ts`. */
const processes = testFiles.filter(beginsWith('// Processes: '))

export default defineConfig({
  resolve: {
    conditions,
    alias: [
      // The packages on which the testing package is built can't depend on it.
      { find: /^@roundsman\/testing$/, replacement: `${TESTING}/index.ts` },
      { find: /^@roundsman\/testing\/(\w+)$/, replacement: `${TESTING}/$1.ts` },
    ],
  },
  ssr: { resolve: { conditions } },
  // vitest loads the global setup in an environment of its own, which would otherwise take the last build.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    // vitest takes them in the order of their names: long files begin first, and the end is quick.
    projects: [
      {
        extends: true,
        test: {
          name: 'packages',
          include: PACKED,
          globalSetup: ['scripts/test/init/installPacked.ts'],
        },
      },
      { extends: true, test: { name: 'guide', include: [GUIDE] } },
      { extends: true, test: { name: 'processes', include: processes } },
      { extends: true, test: { name: 'long', include: notQuick } },
      {
        extends: true,
        test: {
          name: 'quick',
          include: TESTS,
          exclude: ['**/node_modules/**', ...notQuick, ...processes, ...PACKED, GUIDE],
          setupFiles: ['packages/testing/src/refuseProcesses.ts'],
        },
      },
    ],
    setupFiles: ['packages/testing/src/leaveNothing.ts'],
    provide: {
      leavesNothing:
        '/packages/(engine/test/(alerts|control|database|isolation|job|liveness|queue|read|run|tables|tick|values|work)|sweep/test)/',
    },
    // For each process that a test starts: they load the same code again and again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compile') },
    globalSetup: ['packages/testing/src/globalSetup.ts'],
    passWithNoTests: false,
    // A worker loads modules once for all its files, which is most of the time of a quick one.
    isolate: false,
    testTimeout: 90_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // Most tests wait most of the time: six files keep two cores busy.
    maxWorkers: 6,
    // The tests that run beside each other in a file wait for time-outs.
    maxConcurrency: 10,
    reporters: ['default', processorTime(), closingLine()],
  },
})

function beginsWith(line: string) {
  return (file: string) => readFileSync(join(import.meta.dirname, file), 'utf8').startsWith(line)
}

/**
 * Ends the output with the line `N passed, N failed`. It lists the files that failed in FAILED_TEST_FILES, for whoever
 * runs them again, unless an error belongs to no file.
 */
function closingLine(): Reporter {
  return {
    onTestRunEnd(testModules, unhandledErrors) {
      let passed = 0
      // oxlint-disable-next-line no-restricted-properties -- no app's environment, but the runner's
      const { FAILED_TEST_FILES: list } = process.env
      const files = testModules.filter((testModule) => !testModule.ok())
      if (list !== undefined && unhandledErrors.length === 0) {
        writeFileSync(
          list,
          files.map(({ moduleId }) => `${relative(import.meta.dirname, moduleId)}\n`).join(''),
        )
      }
      // A file that does not load, or an error outside a test, counts as a failed test.
      let failed = unhandledErrors.length
      for (const testModule of testModules) {
        failed += testModule.errors().length
        for (const test of testModule.children.allTests()) {
          const { state } = test.result()
          if (state === 'passed') passed += 1
          if (state === 'failed') failed += 1
        }
        for (const suite of testModule.children.allSuites()) failed += suite.errors().length
      }
      process.stdout.write(`${passed} passed, ${failed} failed\n`)
    },
  }
}

/**
 * Reports how much processor time the run took, on Linux: it does not depend on what else the machine does.
 * PostgreSQL's is that of the throwaway server. What a browser leaves running when it ends is lost.
 */
function processorTime(): Reporter {
  return {
    onTestRunEnd([testModule]) {
      const times = readProcessorTimes()
      if (times.size === 0) return
      const { testServer } = testModule?.project.getProvidedContext() ?? {}
      const tests = sumTimes(times, process.pid)
      const postgres = sumTimes(times, testServer?.postmasterPid ?? 0)
      process.stdout.write(
        `processors: ${tests} s for tests and what they start, ${postgres} s for PostgreSQL\n`,
      )
    },
  }
}

interface ProcessorTime {
  parent: number
  /** Includes the time of its children that have ended. */
  seconds: number
}

/** Reads the times of all processes, by id. */
function readProcessorTimes(): Map<number, ProcessorTime> {
  const stats = globSync('/proc/[0-9]*/stat').flatMap((file) => {
    try {
      return [readFileSync(file, 'utf8')]
    } catch {
      // The process has ended.
      return []
    }
  })
  return new Map(
    stats.map((stat) => {
      // From the third field on: the second is a name in brackets, which may hold blanks.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const [utime = 0, stime = 0, cutime = 0, cstime = 0] = fields.slice(11, 15).map(Number)
      const seconds = (utime + stime + cutime + cstime) / 100
      return [Number.parseInt(stat, 10), { parent: Number(fields[1]), seconds }] as const
    }),
  )
}

function sumTimes(times: ReadonlyMap<number, ProcessorTime>, root: number): number {
  const below = (pid: number): number =>
    [...times].reduce(
      (sum, [child, { parent }]) => (parent === pid ? sum + below(child) : sum),
      times.get(pid)?.seconds ?? 0,
    )
  return Math.round(below(root))
}
