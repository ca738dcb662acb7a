import type { PrismaClient } from '@roundsman/db'
import { onTestFinished } from 'vitest'
import type { Job } from '../src/index.ts'
import { createWorker, type Worker, type WorkerOptions } from '../src/worker.ts'
import type { TestRuntime } from './openTestRuntime.ts'

type Options<Jobs extends readonly Job[]> = WorkerOptions<Jobs, PrismaClient>

/** Starts a worker in this process, which is stopped when the test that has started it is over. */
export async function startTestWorker<const Jobs extends readonly Job[]>(
  { workerOptions }: Pick<TestRuntime, 'workerOptions'>,
  options: Pick<Options<Jobs>, 'jobs' | 'handlers'> & Partial<Options<Jobs>>,
): Promise<Worker> {
  const worker = createWorker<Jobs, PrismaClient>({ ...workerOptions, ...options })
  onTestFinished(() => worker.stop({ drainTimeoutMs: 0 }))
  await worker.start()
  return worker
}
