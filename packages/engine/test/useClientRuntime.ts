import { openForTests } from '@roundsman/testing'
import { createJobsClient, type JobsClient } from '../src/client.ts'
import type { TestRuntime } from './openTestRuntime.ts'
import { useTestRuntime, type UseTestRuntimeOptions } from './useTestRuntime.ts'

/** Has a database with all tables for the tests of a file, and a client that has started. */
export function useClientRuntime(options?: UseTestRuntimeOptions): {
  runtime: TestRuntime
  client: JobsClient
} {
  const runtime = useTestRuntime(options)
  const client = openForTests(async () => {
    const opened = createJobsClient({
      schema: 'public',
      databaseUrl: runtime.url,
      log: runtime.log,
    })
    await opened.start()
    return { ...opened, close: opened.stop }
  })
  return { runtime, client }
}
