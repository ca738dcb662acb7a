import { createJobsClient, type JobsClient } from '../src/client.ts'
import { openTestRuntime, type TestRuntime } from './openTestRuntime.ts'

/** A database with all tables, and a client that has started. Closing the runtime stops it first. */
export async function openClientRuntime(): Promise<{
  runtime: TestRuntime
  client: JobsClient
}> {
  const runtime = await openTestRuntime()
  const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await client.start()
  const close = async () => {
    await client.stop()
    await runtime.close()
  }
  return { runtime: { ...runtime, close }, client }
}
