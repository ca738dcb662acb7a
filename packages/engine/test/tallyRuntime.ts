import { spawnProcess, type SpawnedProcess, type SpawnProcessOptions } from '@roundsman/testing'
import type { PrismaClient } from '@roundsman/db'
import { afterEach, beforeAll } from 'vitest'
import type pg from 'pg'
import type { JobsClient } from '../src/client.ts'
import type { Job, PayloadOf } from '../src/index.ts'
import { useClientRuntime } from './useClientRuntime.ts'
import { readWorkStates } from './readWorkStates.ts'
import { createWorker, type Worker } from '../src/worker.ts'
import { CLEAR_TALLY, CREATE_TALLY, jobs, tally, tallyHandlers } from './fixtures/tally.ts'
import type { RunRow } from './readRuns.ts'

const PROCESS = new URL('fixtures/tallyProcess.ts', import.meta.url).pathname

export interface TallyRuntime {
  url: string
  prisma: PrismaClient
  rows<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>
}

/** Starts a worker in a process of its own and waits until it takes work. */
export async function spawnWorker(
  url: string,
  { drainTimeoutMs, ...options }: SpawnProcessOptions & { drainTimeoutMs?: number } = {},
): Promise<SpawnedProcess> {
  const args = [url, ...(drainTimeoutMs === undefined ? [] : [String(drainTimeoutMs)])]
  const worker = spawnProcess(PROCESS, { ...options, args })
  await worker.waitForLine('Jobs scheduler enabled', { timeoutMs: 30_000 })
  return worker
}

export const countLines = ({ stdout }: SpawnedProcess, text: string) =>
  stdout.filter((line) => line.includes(text)).length

/** Questions that all tests of real worker processes ask. */
export function tallyQuestions(runtime: TallyRuntime, client: () => JobsClient) {
  const rows: TallyRuntime['rows'] = (...asked) => runtime.rows(...asked)
  const runs = (where = 'true') =>
    rows<RunRow>(`select * from "JobRunAll" where ${where} order by "startedAt", "attempt"`)
  return {
    runs,
    enqueue: <J extends Job = typeof tally>(
      payload: PayloadOf<J>,
      job: J = tally as unknown as J,
    ) => runtime.prisma.$transaction((tx) => client().enqueue(tx, job, payload)),
    openGate: (attempt: number) => rows('insert into "Gate" values ($1)', [attempt]),
    isRunBy: (worker: SpawnedProcess | Worker) => (run: RunRow) =>
      'pid' in worker ? run.workerId.includes(`:${worker.pid}:`) : run.workerId === worker.id,
    queueStates: () => readWorkStates(rows),
    /** Runs whose recorded count differs from their effects. */
    miscounted: () =>
      rows(
        `select run."id", run."details" ->> 'effects' as said, count(effect."runId") as did
         from "JobRun" run left join "Effect" effect on effect."runId" = run."id"
         group by run."id"
         having count(effect."runId") <> coalesce((run."details" ->> 'effects')::int, 0)`,
      ),
    /** Cuts the connection by which others know that this worker lives. */
    cutSession: (workerId: string) =>
      rows(
        `select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1`,
        // PostgreSQL cuts longer names off.
        [`roundsman ${workerId}`.slice(0, 63)],
      ),
  }
}

/** Has a database for workers that carry out tallies, in processes of their own or in this one, which end with each test. */
export function useTallyStage() {
  const { runtime, client } = useClientRuntime()
  const workers: SpawnedProcess[] = []
  const beside: Worker[] = []
  beforeAll(() => runtime.rows(CREATE_TALLY))
  /** Ends the workers, whatever their state, and deletes what they did. */
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((worker) => worker.kill('SIGKILL')))
    await Promise.all(beside.splice(0).map((worker) => worker.stop({ drainTimeoutMs: 0 })))
    await runtime.rows(CLEAR_TALLY)
    await runtime.clear()
  })
  return {
    runtime,
    ask: tallyQuestions(runtime, () => client),
    async startWorker(options?: Parameters<typeof spawnWorker>[1]): Promise<SpawnedProcess> {
      const worker = await spawnWorker(runtime.url, options)
      workers.push(worker)
      return worker
    },
    /** Starts a worker in this process, in a tenth of the time, for tests that do nothing to it. */
    async startBeside(): Promise<Worker> {
      const handlers = tallyHandlers(runtime.prisma)
      const worker = createWorker({ ...runtime.workerOptions, jobs, handlers })
      beside.push(worker)
      await worker.start()
      return worker
    },
  }
}
