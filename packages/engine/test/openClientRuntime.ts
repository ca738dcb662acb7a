import { createJobsClient, type JobsClient } from '../src/client.ts'
import type { Job } from '../src/index.ts'
import { openTestRuntime, type TestRuntime } from './openTestRuntime.ts'

/** A database with all that these jobs need, and a client that has started. Closing the runtime stops it first. */
export async function openClientRuntime(
  jobs: readonly Job[],
): Promise<{ runtime: TestRuntime; client: JobsClient }> {
  const runtime = await openTestRuntime(jobs)
  const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await client.start()
  const close = async () => {
    await client.stop()
    await runtime.close()
  }
  return { runtime: { ...runtime, close }, client }
}
