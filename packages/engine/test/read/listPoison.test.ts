import { expect, it } from 'vitest'
import { DEFAULT_LIMITS, findCauses } from '../../src/alerts/findCauses.ts'
import { defineJob } from '../../src/index.ts'
import { createUsualFailures } from '../../src/read/createUsualFailures.ts'
import { listPoison } from '../../src/read/listPoison.ts'
import { listProblems } from '../../src/read/listProblems.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const runtime = useTestRuntime({ cleared: [] })
const poster = '01890000-0000-7000-8000-000000000905'
const other = '01890000-0000-7000-8000-000000000906'
const dayAgo = () => new Date(Date.now() - 86_400_000)

async function insertRun(workId: string, hoursAgo: number, code: string | null): Promise<string> {
  const [{ id }] = (await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "workId", "label")
     select gen_random_uuid(), 'render', (case when $3::text is null then 'success' else 'failed' end)::"JobRunStatus", 'queue',
            'w', at, at + interval '1 minute', $3, $1, 'poster 905'
     from (select now() - $2::float8 * interval '1 hour' as at) instant returning "id"::text as "id"`,
    [workId, hoursAgo, code],
  )) as [{ id: string }]
  return id
}
const insertWork = (workId: string) =>
  runtime.rows(
    `insert into "JobWork" ("id", "name", "dueAt", "losses", "bytes", "payload")
     values ($1, 'render', '2031-01-01T00:00:00Z', 2, 2, '{}')`,
    [workId],
  )
const instantOf = async (runId: string) => {
  const [{ at }] = (await runtime.rows(`select "endedAt" as at from "JobRun" where "id" = $1`, [
    runId,
  ])) as [{ at: Date }]
  return at.toISOString()
}

it('tells of work that has lost two workers within a day, as long as it waits or runs', async () => {
  await insertWork(poster)
  await insertWork(other)
  const first = await insertRun(poster, 30, 'worker_lost')
  const last = await insertRun(poster, 1, 'worker_lost')
  await insertRun(other, 1, 'worker_lost')
  await insertRun(other, 2, 'timeout')
  await insertRun(other, 3, null)
  // Within the day it has lost one.
  expect(
    await listPoison(runtime.reader, dayAgo(), new Date(Date.now() - 2.5 * 3_600_000)),
  ).toEqual([])
  await insertRun(poster, 2, 'worker_lost')
  const told = {
    name: 'render',
    workId: poster,
    label: 'poster 905',
    losses: 3,
    recentLosses: 2,
    since: await instantOf(first),
    firstRunId: first,
    runId: last,
    isCut: false,
    inWeek: null,
  }
  expect(
    await listPoison(runtime.reader, dayAgo(), new Date(Date.now() - 2.5 * 3_600_000)),
  ).toEqual([{ ...told, nextAt: '2031-01-01T00:00:00.000Z' }])

  await runtime.rows('delete from "JobWork" where "id" = $1', [poster])
  expect(
    await listPoison(runtime.reader, dayAgo(), new Date(Date.now() - 2.5 * 3_600_000)),
  ).toEqual([])
  await runtime.rows(
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "workIds", "enqueuedAts")
     values (gen_random_uuid(), 'render', 'w', now(), now() + interval '1 hour', array[gen_random_uuid()], array[$1::uuid], array[now()])`,
    [poster],
  )
  expect(
    await listPoison(runtime.reader, dayAgo(), new Date(Date.now() - 2.5 * 3_600_000)),
  ).toEqual([{ ...told, nextAt: null }])
})

it('says that there is more where it does not tell of all, and an alert of it goes on', async () => {
  await runtime.rows(
    `with work as (
       insert into "JobWork" ("id", "name", "dueAt", "losses", "bytes", "payload")
       select gen_random_uuid(), case when n = 1 then 'rare' else 'render' end, '2031-01-01Z', 2, 2, '{}'
       from generate_series(1, 21) n returning "id", "name"
     )
     insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "workId")
     select gen_random_uuid(), "name", 'failed', 'queue', 'w', at, at, 'worker_lost', work."id"
     from work, generate_series(1, case when "name" = 'rare' then 2 else 3 end) n, lateral (select now() - interval '1 hour' as at) one`,
  )
  const list = () => listPoison(runtime.reader, dayAgo(), dayAgo())
  const listed = await list()
  expect(listed).toHaveLength(20)
  expect(listed.every(({ isCut, name }) => isCut && name === 'render')).toBe(true)
  const jobs = ['render', 'rare'].map((name) => defineJob({ name }))
  const find = () =>
    findCauses(runtime.reader, jobs, DEFAULT_LIMITS, [], new Date(), createUsualFailures())
  expect((await find()).cutKinds).toEqual(['poison'])

  await runtime.rows(
    `delete from "JobWork" where "id" = (select "id" from "JobWork" where "name" = 'render' limit 1)`,
  )
  expect((await list()).map(({ isCut }) => isCut)).toEqual(Array(20).fill(false))
  expect((await find()).cutKinds).toEqual([])
  // As many lost runs as are looked through.
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "workId")
     select gen_random_uuid(), 'render', 'failed', 'queue', 'w', at, at, 'worker_lost', gen_random_uuid()
     from generate_series(1, 1000) n, lateral (select now() as at) one`,
  )
  await insertWork(poster)
  await insertRun(poster, -1, 'worker_lost')
  await insertRun(poster, -1, 'worker_lost')
  expect(await list()).toMatchObject([{ workId: poster, isCut: true }])
})

const failuresOf = async () => {
  const { problems } = await listProblems(
    runtime.reader,
    [defineJob({ name: 'render' })],
    new Date(),
  )
  return problems.flatMap(({ kind }) => (kind === 'poison' || kind === 'failing' ? [kind] : []))
}

it.each([
  ['within the hour', 0.2],
  ['before', 3],
])('is told once while no other work of its job has failed: %s', async (_, hoursAgo) => {
  await insertWork(poster)
  await insertRun(other, 5, null)
  await insertRun(poster, hoursAgo + 0.1, 'worker_lost')
  expect(await failuresOf()).toEqual(['failing'])
  await insertRun(poster, hoursAgo, 'worker_lost')
  expect(await failuresOf()).toEqual(['poison'])
  // What else has failed is told beside it.
  await insertRun(other, hoursAgo - 0.1, 'worker_lost')
  expect(await failuresOf()).toEqual(['poison', 'failing'])
})

it('says how many pieces of the job have done so within seven days, where the record goes back so far', async () => {
  const inWeek = async () =>
    (await listPoison(runtime.reader, dayAgo(), dayAgo())).map((one) => one.inWeek)
  await insertWork(poster)
  for (const hoursAgo of [1, 2]) await insertRun(poster, hoursAgo, 'worker_lost')
  expect(await inWeek()).toEqual([null])
  await insertRun(other, 7 * 24 + 1, null)
  expect(await inWeek()).toEqual([1])
  // One more that was over long ago, one that was lost once, and one of the week before.
  const past = [
    ['01890000-0000-7000-8000-000000000001', 100, 99],
    ['01890000-0000-7000-8000-000000000002', 100],
    ['01890000-0000-7000-8000-000000000003', 170, 169],
  ] as const
  for (const [id, ...hours] of past)
    for (const hoursAgo of hours) await insertRun(id, hoursAgo, 'worker_lost')
  expect(await inWeek()).toEqual([2])
})
