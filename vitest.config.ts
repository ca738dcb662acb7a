import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { defineConfig } from 'vitest/config'
import type { Reporter } from 'vitest/node'

// Our packages are loaded from their sources: no build before the tests, and none that could be
// stale.
const conditions = ['@roundsman/source', 'module', 'node', 'development|production']

const TESTING = join(import.meta.dirname, 'packages/testing/src')

const TESTS = [
  'packages/*/test/**/*.test.ts',
  'apps/*/{test,e2e}/**/*.test.ts',
  'scripts/test/**/*.test.ts',
]
/** They pack what others install, and compile and run products that have it: minutes of a compiler's work. */
const PACKAGES = ['scripts/test/{init,guide}/*.test.ts', 'scripts/test/release.test.ts']
const notQuick = globSync(TESTS, {
  cwd: import.meta.dirname,
  exclude: ['**/node_modules', ...PACKAGES],
}).filter((file) =>
  readFileSync(join(import.meta.dirname, file), 'utf8').startsWith('// Not quick: '),
)

export default defineConfig({
  resolve: {
    conditions,
    alias: [
      // The packages that the testing package is built on cannot name it as a dependency.
      { find: /^@roundsman\/testing$/, replacement: `${TESTING}/index.ts` },
      { find: /^@roundsman\/testing\/(\w+)$/, replacement: `${TESTING}/$1.ts` },
    ],
  },
  ssr: { resolve: { conditions } },
  // The global setup is loaded in an environment of its own; without this it would run what was built last.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    // In the order of their names: long files begin first, and the end is quick.
    projects: [
      { extends: true, test: { name: 'packages', include: PACKAGES } },
      { extends: true, test: { name: 'long', include: notQuick } },
      {
        extends: true,
        test: {
          name: 'quick',
          include: TESTS,
          exclude: ['**/node_modules/**', ...notQuick, ...PACKAGES],
          setupFiles: ['packages/testing/src/refuseProcesses.ts'],
        },
      },
    ],
    setupFiles: ['packages/testing/src/leaveNothing.ts'],
    provide: { leavesNothing: '/packages/engine/test/(job|read|work|control|store)/' },
    // Of every process that a test starts: they load the same code again and again.
    env: { NODE_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/compile') },
    globalSetup: ['packages/testing/src/globalSetup.ts'],
    passWithNoTests: false,
    // Modules are loaded once for all files of a worker, which is most of what a quick one takes.
    isolate: false,
    testTimeout: 90_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    // Most of them wait most of the time: six keep two cores busy.
    maxWorkers: 6,
    // Those that may run beside each other wait for time-outs.
    maxConcurrency: 10,
    reporters: ['default', closingLine()],
  },
})

/**
 * Ends the output with `N passed, N failed` on a line of its own, for whoever reads the log of a
 * run. Lists the files of what failed in the file that FAILED_TEST_FILES names, for whoever runs them again; an
 * error that belongs to no file leaves no list.
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
      // A file that does not load and an error outside of a test have no test to be counted with.
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
