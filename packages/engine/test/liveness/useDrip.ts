import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import { createWorker, type Worker } from '../../src/worker.ts'
import { CREATE_EFFECTS, drip, dripHandler } from '../fixtures/drip.ts'
import { openClientRuntime } from '../openClientRuntime.ts'
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
  /** Only once the tests run. */
  readonly runtime: TestRuntime
  readonly client: JobsClient
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
  let runtime: TestRuntime
  let client: JobsClient
  let worker: Worker | undefined

  beforeAll(async () => {
    ;({ runtime, client } = await openClientRuntime())
    await runtime.rows(CREATE_EFFECTS)
  })

  afterAll(() => runtime.close())

  beforeEach(async () => {
    await runtime.clear('JobTick', 'JobSchedule', 'Effect')
  })

  afterEach(async () => {
    await worker?.stop({ drainTimeoutMs: 0 })
    worker = undefined
  })

  const runs = () => runtime.rows<DripRun>('select * from "JobRun" order by "startedAt", "attempt"')
  return {
    get runtime() {
      return runtime
    },
    get client() {
      return client
    },
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
        schema: 'public',
        retention: false,
        databaseUrl: runtime.url,
        client: runtime.prisma,
        jobs: [drip],
        handlers: { drip: handler },
        log: runtime.log,
      })
      await worker.start()
      return worker
    },
  }
}
