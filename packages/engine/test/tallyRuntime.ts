import { spawnProcess, type SpawnedProcess, type SpawnProcessOptions } from '@roundsman/testing'
import type { PrismaClient } from '@roundsman/db'
import type pg from 'pg'
import type { JobsClient } from '../src/client.ts'
import type { Job, PayloadOf } from '../src/index.ts'
import { openClientRuntime } from './openClientRuntime.ts'
import type { TestRuntime } from './openTestRuntime.ts'
import { readWorkStates } from './readWorkStates.ts'
import { createWorker, type Worker } from '../src/worker.ts'
import { CLEAR_TALLY, CREATE_TALLY, jobs, tally, tallyHandlers } from './fixtures/tally.ts'

const PROCESS = new URL('fixtures/tallyProcess.ts', import.meta.url).pathname

export interface TallyRun {
  id: string
  name: string
  status: 'running' | 'success' | 'failed'
  attempt: number
  details: { effects?: number; batches?: number; error?: { code: string } } | null
  workerId: string
  workId: string
}

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
export function tallyQuestions({ prisma, rows }: TallyRuntime, client: () => JobsClient) {
  const runs = (where = 'true') =>
    rows<TallyRun>(`select * from "JobRunAll" where ${where} order by "startedAt", "attempt"`)
  return {
    runs,
    enqueue: <J extends Job = typeof tally>(
      payload: PayloadOf<J>,
      job: J = tally as unknown as J,
    ) => prisma.$transaction((tx) => client().enqueue(tx, job, payload)),
    openGate: (attempt: number) => rows('insert into "Gate" values ($1)', [attempt]),
    isRunBy: (worker: SpawnedProcess | Worker) => (run: TallyRun) =>
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

export interface TallyStage {
  runtime: TestRuntime
  ask: ReturnType<typeof tallyQuestions>
  /** Starts a worker that `clear` ends. */
  startWorker(options?: Parameters<typeof spawnWorker>[1]): Promise<SpawnedProcess>
  /** Starts a worker in this process, in a tenth of the time, for tests that do nothing to it. */
  startBeside(): Promise<Worker>
  /** Ends the workers, whatever their state, and deletes what they did. */
  clear(): Promise<void>
  close(): Promise<void>
}

/** A database for workers that carry out tallies, in processes of their own or in this one. */
export async function openTallyStage(): Promise<TallyStage> {
  const { runtime, client } = await openClientRuntime()
  await runtime.rows(CREATE_TALLY)
  const workers: SpawnedProcess[] = []
  const beside: Worker[] = []
  return {
    runtime,
    ask: tallyQuestions(runtime, () => client),
    async startWorker(options) {
      const worker = await spawnWorker(runtime.url, options)
      workers.push(worker)
      return worker
    },
    async startBeside() {
      const { url, prisma, log } = runtime
      const handlers = tallyHandlers(prisma)
      const worker = createWorker({
        schema: 'public',
        retention: false,
        databaseUrl: url,
        client: prisma,
        jobs,
        handlers,
        log,
      })
      beside.push(worker)
      await worker.start()
      return worker
    },
    async clear() {
      await Promise.all(workers.splice(0).map((worker) => worker.kill('SIGKILL')))
      await Promise.all(beside.splice(0).map((worker) => worker.stop({ drainTimeoutMs: 0 })))
      await runtime.rows(CLEAR_TALLY)
      await runtime.clear()
    },
    close: runtime.close,
  }
}
