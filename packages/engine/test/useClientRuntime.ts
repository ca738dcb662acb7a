import { openForTests } from '@roundsman/testing'
import { createJobsClient, type JobsClient } from '../src/client.ts'
import { openTestRuntime, type TestRuntime } from './openTestRuntime.ts'

/** Has a database with all tables for the tests of a file, and a client that has started. */
export function useClientRuntime(): { runtime: TestRuntime; client: JobsClient } {
  const runtime = openForTests(openTestRuntime)
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
