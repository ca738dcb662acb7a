import { createSession } from '../../src/liveness/session.ts'
import { getJobRun, listJobRuns } from '../../src/read/jobRuns.ts'
import { listVersionChanges, listVersionStarts, listWorkers } from '../../src/read/listWorkers.ts'
import { expect, it } from 'vitest'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: ['JobWorker', 'JobFormerWorker'] })

async function startWorker(workerId: string, version: string | null) {
  const { url, database, log } = runtime
  const session = createSession({ url, database, workerId, version, log })
  await session.start()
  return session
}

const insertRun = (workerId: string) =>
  runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
     values (gen_random_uuid(), 'sweep', 'success', 'queue', $1, now(), now())`,
    [workerId],
  )

async function versions(): Promise<Record<string, string | null>> {
  const { runs } = await listJobRuns(runtime.reader, { limit: 10 })
  for (const { id, version } of runs)
    expect(await getJobRun(runtime.reader, id)).toMatchObject({ version })
  return Object.fromEntries(runs.map((run) => [run.workerId, run.version]))
}

it('a run knows its version while its worker lives, and after it has ended', async () => {
  const [old, silent, living] = [
    await startWorker('old', '0.2.0'),
    await startWorker('silent', null),
    await startWorker('living', '0.2.1'),
  ]
  for (const workerId of ['old', 'silent', 'living', 'unheard of']) await insertRun(workerId)
  const told = { old: '0.2.0', silent: null, living: '0.2.1', 'unheard of': null }
  expect(await versions()).toEqual(told)
  await old.stop()
  await silent.stop()
  expect(await versions()).toEqual(told)
  expect((await listWorkers(runtime.reader)).map(({ id }) => id)).toEqual(['living'])
  await living.stop()
})

it('knows that of a worker that was killed, once another has removed it, until somebody removes it by hand', async () => {
  await runtime.rows(
    `insert into "JobWorker" ("id", "startedAt", "heartbeatAt", "version")
     values ('killed', now() - interval '3 days', now() - interval '2 days', '0.1.9')`,
  )
  await insertRun('killed')
  const next = await startWorker('next', '0.2.0')
  expect((await listWorkers(runtime.reader)).map(({ id }) => id)).toEqual(['next'])
  expect(await versions()).toEqual({ killed: '0.1.9' })
  const [kept] = await runtime.rows(
    `select "id", "endedAt" < now() - interval '47 hours' as "isOld" from "JobFormerWorker"`,
  )
  expect(kept).toEqual({ id: 'killed', isOld: true })
  await runtime.rows('delete from "JobFormerWorker"')
  expect(await versions()).toEqual({ killed: null })
  await next.stop()
})

it('lists where the version of a job has changed, back too, by the first runs of its workers', async () => {
  await runtime.rows(
    `insert into "JobFormerWorker" select id, version, now(), now() from
       unnest(array['a', 'a2', 'b', 'other', 'c'], array['0.2.0', '0.2.0', '0.2.1', '9.9', '0.2.0']) worker(id, version)`,
  )
  // In no order of time; b's first run is before the last of a2.
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt")
     select gen_random_uuid(), case worker when 'other' then 'other' else 'sweep' end, 'success', 'queue', worker, at, at
     from unnest(array['b', 'a', 'a2', 'other', 'a2', 'c', 'unknown', 'b'], array[5, 9, 8, 6, 4, 2, 3, 1]) run(worker, ago)
       cross join lateral (select timestamptz '2026-11-24T09:00:00Z' - ago * interval '1 hour' as at) instant`,
  )
  const changes = (from: string) =>
    listVersionChanges(runtime.reader, { name: 'sweep', from: new Date(from) })
  expect(await changes('2026-11-20T00:00:00Z')).toEqual([
    { at: '2026-11-24T04:00:00.000Z', version: '0.2.1' },
    { at: '2026-11-24T07:00:00.000Z', version: '0.2.0' },
  ])
  expect(await changes('2026-11-24T06:30:00Z')).toEqual([
    { at: '2026-11-24T08:00:00.000Z', version: '0.2.1' },
  ])
  expect(await changes('2026-11-24T07:30:00Z')).toEqual([])
})

it.each([
  ['the first there was', ['a 0 9'], []],
  ['one after another', ['a 0 5', 'b 5 9'], ['b 5']],
  ['in a rolling deployment, once', ['a 0 5', 'a 0 6', 'b 4 9', 'b 6 9'], ['b 4']],
  ['that comes back', ['a 0 5', 'b 4 7', 'a 6 9'], ['b 4', 'a 6']],
  ['by the first of two that start with it', ['a 0 5', 'b 6 9', 'b 7 9'], ['b 6']],
  ['of a worker that starts again', ['a 0 2', 'a 3 9'], []],
  [
    'that has others alive while one of its workers starts again',
    ['a 0 9', 'a 0 4', 'b 2 9', 'a 5 9'],
    ['b 2'],
  ],
  ['before the time asked for', ['c -9 -5', 'b -6 9', 'a 3 9'], ['a 3']],
])('lists where a version of all workers began: %s', async (_, workers, starts) => {
  const minute = (nth: number) => new Date(Date.parse('2026-11-24T09:00:00Z') + nth * 60_000)
  // In no order of time, and some not yet listed as former: they were killed within the day.
  for (const [index, worker] of workers.toReversed().entries()) {
    const [version, from, to] = worker.split(' ')
    await runtime.rows(
      index % 2 === 0
        ? `insert into "JobFormerWorker" ("id", "version", "startedAt", "endedAt") values ($1, $2, $3, $4)`
        : `insert into "JobWorker" ("id", "version", "startedAt", "heartbeatAt") values ($1, $2, $3, $4)`,
      [`${index}`, version, minute(Number(from)), minute(Number(to) - 0.6)],
    )
  }
  await runtime.rows(`insert into "JobWorker" ("id", "startedAt") values ('silent', $1)`, [
    minute(1),
  ])
  expect(await listVersionStarts(runtime.reader, minute(0))).toEqual(
    starts.map((start) => {
      const [version, at] = start.split(' ')
      return { version, at: minute(Number(at)).toISOString() }
    }),
  )
})
