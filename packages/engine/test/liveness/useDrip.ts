import { afterEach, beforeAll, beforeEach } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { CREATE_EFFECTS, drip, dripHandler } from '../fixtures/drip.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

export interface DripRun {
  id: string
  status: string
  attempt: number
  trigger: string
  details: { effects?: number; batches?: number; error?: { code: string } } | null
  workerId: string
  workId: string
  startedAt: Date
  endedAt: Date | null
}

export interface Drips {
  runtime: TestRuntime
  client: JobsClient
  runs(): Promise<DripRun[]>
  enqueue(): ReturnType<JobsClient['enqueue']>
  effectsOf(runId: string): Promise<number>
  /** Whether the first run has committed some batches. */
  isUnderWay(): Promise<boolean>
  /** The worker stops after the test. */
  startWorker(handler?: typeof dripHandler): Promise<Worker>
}

/** Has a database, empty before each test of the file that calls it, in which a job leaves one effect after the other. */
export function useDrip(): Drips {
  const { runtime, client } = useClientRuntime()
  let worker: Worker | undefined

  beforeAll(() => runtime.rows(CREATE_EFFECTS))

  beforeEach(async () => {
    await runtime.clear('JobTick', 'JobSchedule', 'Effect')
  })

  afterEach(async () => {
    await worker?.stop({ drainTimeoutMs: 0 })
    worker = undefined
  })

  const runs = () => runtime.rows<DripRun>('select * from "JobRun" order by "startedAt", "attempt"')
  return {
    runtime,
    client,
    runs,
    enqueue: () => runtime.prisma.$transaction((tx) => client.enqueue(tx, drip, {})),
    async effectsOf(runId) {
      const [effects] = await runtime.rows<{ n: number }>(
        'select count(*)::int n from "Effect" where "runId" = $1',
        [runId],
      )
      return effects!.n
    },
    isUnderWay: async () => ((await runs())[0]?.details?.effects ?? 0) > 5,
    async startWorker(handler = dripHandler) {
      worker = createWorker({
        ...runtime.workerOptions,
        jobs: [drip],
        handlers: { drip: handler },
      })
      await worker.start()
      return worker
    },
  }
}
