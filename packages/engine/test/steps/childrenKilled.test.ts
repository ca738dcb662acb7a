// Processes: kills workers.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import { CREATE_IMPORTS, importFile, importHandlers, imports } from '../fixtures/imports.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const WORKER = new URL('../fixtures/importsProcess.ts', import.meta.url).pathname
/** 10,000 in a long run. */
const CHILDREN = Number(process.env['ROUNDSMAN_CHILDREN'] ?? 1_500)
const KILLS = 4

const { runtime, client } = useClientRuntime({ cleared: [] })
beforeAll(() => runtime.rows(CREATE_IMPORTS))
beforeEach(() => runtime.rows('delete from "Sum"'))

const countEnded = () =>
  runtime.value<number>(`select count(*)::int from "JobChild" where "endedAt" is not null`)
const lost = () => runtime.rows('select * from "JobChildLost"')

async function startWorker() {
  const spawned = spawnProcess(WORKER, { args: [runtime.url] })
  await spawned.waitForLine('Jobs scheduler enabled')
  return spawned
}

it('of killed workers are enqueued once, and wake their parent once', async () => {
  const workers = await Promise.all([startWorker(), startWorker()])
  await client.enqueueNow(importFile, { rows: CHILDREN })
  for (let kills = 1; kills <= KILLS; kills++) {
    const enough = (CHILDREN * kills) / (KILLS + 1)
    await waitFor(async () => (await countEnded()) >= enough, { timeoutMs: 60_000 })
    await workers[kills % 2]!.kill('SIGKILL')
    workers[kills % 2] = await startWorker()
    expect(await lost()).toEqual([])
  }
  await waitFor(() => runtime.value<boolean>('select exists (select from "Sum")'), {
    timeoutMs: 120_000,
  })
  await Promise.all(workers.map((worker) => worker.kill('SIGKILL')))

  const sum = (CHILDREN * (CHILDREN - 1)) / 2
  expect(await runtime.rows('select rows, sum, ordered from "Sum"')).toEqual([
    { rows: CHILDREN, sum, ordered: true },
  ])
  expect(await runtime.value('select count(*)::int from "JobChild"')).toBe(CHILDREN)
  expect(
    await runtime.value(
      `select count(*)::int from "JobRun" where "name" = 'importFile' and "status" = 'suspended'`,
    ),
  ).toBe(1)
  expect(await lost()).toEqual([])
}, 300_000)

it('are cancelled with their parent, whether they wait or run', async () => {
  const begun: number[] = []
  const stopped: number[] = []
  await startTestWorker(runtime, {
    jobs: imports,
    handlers: {
      ...importHandlers(runtime.prisma),
      async importRow({ payload: { n }, signal }) {
        begun.push(n)
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        stopped.push(n)
        throw signal.reason
      },
    },
  })
  const { workId } = await client.enqueueNow(importFile, { rows: 60 })
  await waitFor(() => begun.length === 50)
  await waitFor(() =>
    runtime.value<boolean>(`select exists (select from "JobWork" where "name" = 'importFile')`),
  )
  await client.cancelWork(
    { job: importFile, ids: [workId] },
    { actor: 'ada', reason: 'not needed any more' },
  )

  await waitFor(async () => (await countEnded()) === 60, { timeoutMs: 20_000 })
  expect(stopped).toHaveLength(50)
  expect(begun).toHaveLength(50)
  expect(await runtime.column('select distinct "errorCode" from "JobChild"')).toEqual(['cancelled'])
  await waitFor(async () => {
    const states = await runtime.column(
      `select "errorCode" from "JobRun" where "name" = 'importFile' and "status" = 'failed'`,
    )
    return states.includes('cancelled')
  })
  expect(await lost()).toEqual([])
})
