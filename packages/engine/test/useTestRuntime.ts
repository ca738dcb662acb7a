import { openForTests } from '@roundsman/testing'
import { beforeEach } from 'vitest'
import { openTestRuntime, type TestRuntime } from './openTestRuntime.ts'

export interface UseTestRuntimeOptions {
  /** Each test finds the queue, the runs and these tables empty, and nothing logged. Default: what the ones before have left. */
  cleared?: readonly string[]
}

/** Has a database with all tables for the tests of a file. */
export function useTestRuntime({ cleared }: UseTestRuntimeOptions = {}): TestRuntime {
  const runtime = openForTests(openTestRuntime)
  if (cleared) {
    beforeEach(async () => {
      await runtime.clear(...cleared)
      runtime.lines.length = 0
    })
  }
  return runtime
}
