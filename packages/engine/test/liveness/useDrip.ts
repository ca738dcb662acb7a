import { beforeAll } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import type { Worker } from '../../src/worker.ts'
import { CREATE_EFFECTS, drip, dripHandler } from '../fixtures/drip.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import type { TestRuntime } from '../openTestRuntime.ts'
import { readRuns, type RunRow } from '../readRuns.ts'
import { startTestWorker } from '../startTestWorker.ts'

export interface Drips {
  runtime: TestRuntime
  client: JobsClient
  runs(): Promise<RunRow[]>
  enqueue(): ReturnType<JobsClient['enqueue']>
  effectsOf(runId: string): Promise<number>
  /** Whether the first run has committed some batches. */
  isUnderWay(): Promise<boolean>
  /** The worker stops after the test. */
  startWorker(handler?: typeof dripHandler): Promise<Worker>
}

/** Has a database, empty before each test of the file that calls it, in which a job leaves one effect after the other. */
export function useDrip(): Drips {
  const { runtime, client } = useClientRuntime({ cleared: ['JobTick', 'JobSchedule', 'Effect'] })
  beforeAll(() => runtime.rows(CREATE_EFFECTS))
  const runs = () => readRuns(runtime)
  return {
    runtime,
    client,
    runs,
    enqueue: () => runtime.prisma.$transaction((tx) => client.enqueue(tx, drip, {})),
    effectsOf: async (runId) =>
      (await runtime.rows('select from "Effect" where "runId" = $1', [runId])).length,
    isUnderWay: async () => ((await runs())[0]?.details?.effects ?? 0) > 5,
    startWorker: (handler = dripHandler) =>
      startTestWorker(runtime, { jobs: [drip], handlers: { drip: handler } }),
  }
}
