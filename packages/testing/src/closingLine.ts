import type { Reporter } from 'vitest/node'

/**
 * Ends the output with `N passed, N failed` on a line of its own, for whoever reads the log of a
 * run.
 */
export function closingLine(): Reporter {
  return {
    onTestRunEnd(testModules, unhandledErrors) {
      let passed = 0
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
