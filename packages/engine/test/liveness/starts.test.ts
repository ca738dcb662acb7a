// Processes: kills workers.
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { CREATE_TOUCHED, jobs, touch } from '../fixtures/touch.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'
import { WORK_LEFT } from '../readWorkStates.ts'

const PROCESS = new URL('../fixtures/touchProcess.ts', import.meta.url).pathname
const PATIENCE = { timeoutMs: 60_000 }

let runtime: TestRuntime
let client: JobsClient
const workers: SpawnedProcess[] = []

beforeAll(async () => {
  runtime = await openTestRuntime(jobs)
  await runtime.rows(CREATE_TOUCHED)
  client = createJobsClient({ databaseUrl: runtime.url, schema: 'public', log: runtime.log })
  await client.start()
})

beforeEach(async () => {
  await runtime.rows('delete from "Touched"')
  await runtime.rows('delete from "JobRun"')
  await runtime.rows('delete from pgboss.job')
})

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill('SIGKILL')))
  await runtime.rows('delete from "JobStart"')
  await runtime.rows('delete from "JobClaim"')
})

afterAll(async () => {
  await client.stop()
  await runtime.close()
})

async function startWorker(): Promise<SpawnedProcess> {
  const worker = spawnProcess(PROCESS, { args: [runtime.url] })
  workers.push(worker)
  await worker.waitForLine('Jobs scheduler enabled', PATIENCE)
  return worker
}

const enqueue = (count: number, payload: { isHeld?: boolean; ms?: number } = {}) =>
  client.enqueueMany(
    runtime.prisma,
    touch,
    Array.from({ length: count }, (_, n) => ({ payload: { n, isHeld: false, ms: 0, ...payload } })),
  )

/**
 * Asserts that each piece has one run that succeeded and each attempt one run, that all have ended, and that nothing is
 * held or waits.
 */
async function expectAllDoneOnce(count: number): Promise<void> {
  await waitFor(async () => {
    const [left] = await runtime.rows<{ n: number }>(
      `select (select count(*) from ${WORK_LEFT})::int + (select count(*) from "JobStart")::int
         + (select count(*) from "JobClaim")::int as n`,
    )
    return left?.n === 0
  }, PATIENCE)
  expect(
    await runtime.rows(
      `select count(*)::int as runs, count(distinct "workId")::int as work from "JobRun" where "status" = 'success'`,
    ),
  ).toEqual([{ runs: count, work: count }])
  expect(
    await runtime.rows(
      `select "workId" from "JobRun" group by "workId", "attempt" having count(*) > 1`,
    ),
  ).toEqual([])
  expect(
    await runtime.rows(
      `select distinct "errorCode" as code from "JobRun" where "status" <> 'success' and "errorCode" <> 'worker_lost'
         or "status" = 'running'`,
    ),
  ).toEqual([])
  // Every run that succeeded has left its effect.
  expect(
    await runtime.rows(
      `select from "JobRun" where "status" = 'success' and "id" not in (select "runId" from "Touched")`,
    ),
  ).toEqual([])
}

describe('a worker that is killed', { timeout: 180_000 }, () => {
  it('while its claim waits to be carried out', async () => {
    const worker = await startWorker()
    await runtime.database.transaction(async (tx) => {
      await tx.query('lock table "JobStart" in share mode')
      await enqueue(20)
      await waitFor(() => isWaitingFor('"JobStart"'), PATIENCE)
      await worker.kill('SIGKILL')
    })
    await startWorker()
    await expectAllDoneOnce(20)
  })

  it('while its handlers run', async () => {
    const worker = await startWorker()
    await enqueue(20, { isHeld: true })
    await worker.waitForLine('held', PATIENCE)
    await worker.kill('SIGKILL')
    await startWorker()
    await expectAllDoneOnce(20)
    const [lost] = await runtime.rows<{ n: number }>(
      `select count(*)::int as n from "JobRun" where "errorCode" = 'worker_lost'`,
    )
    expect(lost!.n).toBe(20)
  })

  it('while the ends of its runs wait to be written', async () => {
    const worker = await startWorker()
    await runtime.database.transaction(async (tx) => {
      await tx.query('lock table "JobRun" in share mode')
      await enqueue(20)
      await waitFor(() => isWaitingFor('"JobRun"'), PATIENCE)
      await worker.kill('SIGKILL')
    })
    await startWorker()
    await expectAllDoneOnce(20)
  })

  it('at whatever moment, again and again, beside another', async () => {
    await startWorker()
    let victim = await startWorker()
    await enqueue(1_500, { ms: 2 })
    for (let kills = 0; kills < 4; kills++) {
      const done = async () =>
        (
          await runtime.rows(
            `select from "Touched" where "runId" in (select "runId" from "Touched")`,
          )
        ).length
      const before = await done()
      await waitFor(async () => (await done()) > before || before >= 1_500, PATIENCE)
      await victim.kill('SIGKILL')
      victim = await startWorker()
      if (kills < 3) await enqueue(200, { ms: 2 })
    }
    await expectAllDoneOnce(1_500 + 3 * 200)
  })
})

describe('a run that goes on for longer than most', { timeout: 120_000 }, () => {
  it('is shown at once, and soon has its row, which holds it', async () => {
    const worker = await startWorker()
    await enqueue(1, { isHeld: true })
    await worker.waitForLine('held', PATIENCE)
    const [run] = await runtime.rows<{ id: string; status: string }>(
      'select "id", "status" from "JobRunAll"',
    )
    expect(run).toMatchObject({ status: 'running' })
    await waitFor(async () => (await runtime.rows('select from "JobRun"')).length === 1, PATIENCE)
    expect(await runtime.rows('select "id", "status" from "JobRunAll"')).toEqual([run])
    expect(await runtime.rows('select "runIds" from "JobClaim"')).toEqual([{ runIds: [run!.id] }])
    expect(await runtime.rows('select state::text from pgboss.job')).toEqual([{ state: 'active' }])
  })
})

/** Whether a worker's statement waits for a lock on this table. */
async function isWaitingFor(table: string): Promise<boolean> {
  const waiting = await runtime.rows(
    `select from pg_locks where relation = $1::regclass and not granted
       and database = (select oid from pg_database where datname = current_database())`,
    [table],
  )
  return waiting.length > 0
}
