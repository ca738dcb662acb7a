// Not quick: stores and lists hundreds of megabytes.
import { cleanupI18nCache, dispatchEmail } from '@roundsman/jobs'
import { emptyQueue, emptyTables, HOLD_RUNS_SQL, openForTests, QUEUE } from '@roundsman/testing'
import { Prisma } from '@roundsman/db'
import fc from 'fast-check'
import { beforeEach, expect, it } from 'vitest'
import { createTestApi } from '../createTestApi.ts'

/**
 * Rows as no worker of this version writes them: of earlier versions, which knew no bounds, and of others who may write
 * to the database.
 */
const api = openForTests(createTestApi)

beforeEach(async () => {
  await emptyTables(
    api.prisma,
    `"JobRun", "JobClaim", "JobTick", "JobSchedule", "JobWorker", "JobAction", ${QUEUE}`,
  )
})

const NAME = cleanupI18nCache.name
const MEGABYTE = 1024 * 1024

async function get(url: string) {
  const { statusCode, body } = await api.as('admin', { method: 'GET', url })
  expect({ url, statusCode, body: body.slice(0, 300) }).toMatchObject({ statusCode: 200 })
  return body
}

/** Adds runs. `details` is an SQL expression in which `n` counts the rows. */
async function addRuns(count: number, details: string): Promise<string> {
  const [run] = await api.prisma.$queryRawUnsafe<{ id: string }[]>(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "details")
     select gen_random_uuid(), '${NAME}', 'failed', 'queue', 'w1', now() - n * interval '1 s', now(), 'smtp_down', ${details}
     from generate_series(1, ${count}) n
     returning "id"::text`,
  )
  return run!.id
}

it('lists 40 runs with 5 MB of details each', async () => {
  await addRuns(40, `jsonb_build_object('cleaned', n, 'text', repeat('x', 5000000))`)
  const body = await get('/api/jobs/runs?limit=200')
  const { runs } = JSON.parse(body) as { runs: { details: unknown }[] }
  expect(runs).toHaveLength(40)
  expect(runs[0]?.details).toEqual({
    detailsTooLarge: expect.any(Number),
    error: { code: 'smtp_down' },
  })
  expect(body.length).toBeLessThan(MEGABYTE)
  expect((await get('/api/jobs/runs.csv')).length).toBeLessThan(MEGABYTE)
})

it('shows details up to a bound: less in a list than of one run', async () => {
  const id = await addRuns(1, `jsonb_build_object('cleaned', 3, 'text', repeat('x', 500000))`)
  const [{ details: listed }] = JSON.parse(await get('/api/jobs/runs')).runs
  const { details: shown } = JSON.parse(await get(`/api/jobs/runs/${id}`))
  expect(listed).toMatchObject({ detailsTooLarge: expect.any(Number) })
  expect(shown).toEqual({ cleaned: 3, text: 'x'.repeat(500_000) })
})

it.each([
  [
    'not compressible',
    `jsonb_build_object('text', (select string_agg(gen_random_uuid()::text, '') from generate_series(1, 60000)))`,
  ],
  [
    'few bytes that are long as text',
    `jsonb_build_array('1e131000'::numeric, '1e131000'::numeric, repeat('x', 1000000))`,
  ],
  ['nested deeply', `(repeat('[', 6000) || repeat(']', 6000))::jsonb`],
  ['numbers where JavaScript has none', `'{"cleaned": 1e400, "guard": {"due": 1e999}}'`],
  [
    'texts where numbers are expected',
    `'{"cleaned": "x", "guard": {"due": "y"}, "error": {"message": {}}}'`,
  ],
  ['no object', `'"text"'`],
])('shows runs with details that are %s', async (_kind, details) => {
  const id = await addRuns(2, details)
  await api.prisma
    .$executeRaw`update "JobRun" set "startedAt" = ${api.clock.now().toISOString()}::timestamptz`
  for (const errorCode of ['smtp_down', 'guard_blocked']) {
    await api.prisma.$executeRaw`update "JobRun" set "errorCode" = ${errorCode}`
    expect(await lookEverywhere(id)).toBeLessThan(2 * MEGABYTE)
  }
})

it('shows runs, actions, ticks and pauses with texts of 500 kB', async () => {
  const id = await addRuns(
    60,
    `jsonb_build_object('error', jsonb_build_object('message', repeat('x', 500000)))`,
  )
  const text = Prisma.sql`repeat('é', 250000)`
  const json = Prisma.sql`jsonb_build_object('done', 1, 'x', ${text})`
  await api.prisma.$executeRaw`
    update "JobRun" set "actor" = ${text}, "reason" = ${text}, "workerId" = ${text}, "cancelRequestedBy" = ${text},
      "approvedBy" = ${text}, "progress" = ${json}, "batchMarks" = jsonb_build_array(${json}),
      "workId" = gen_random_uuid()`
  await api.prisma.$executeRaw`
    insert into "JobRun" ("id", "name", "trigger", "workerId", "progress")
    select gen_random_uuid(), ${NAME}, 'queue', 'w1', ${json} from generate_series(1, 20)`
  await api.prisma.$executeRawUnsafe(HOLD_RUNS_SQL)
  await api.prisma.$executeRaw`
    insert into "JobAction" ("action", "name", "runId", "actor", "reason")
    select 'cancel', ${NAME}, ${id}::uuid, ${text}, ${text} from generate_series(1, 20)`
  await api.prisma.$executeRaw`
    insert into "JobTick" ("name", "scheduledFor", "outcome", "reason", "workerId")
    select ${NAME}, now() - n * interval '1 s', 'skipped', ${text}, 'w1' from generate_series(1, 60) n`
  await api.prisma.$executeRaw`
    insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "pausedAt", "pausedBy", "pauseReason")
    values (${NAME}, '0 3 * * *', 'UTC', now(), now(), ${text}, ${text})`
  await api.prisma.$executeRaw`
    insert into "JobQueue" ("name", "pausedBy", "pauseReason") values (${dispatchEmail.name}, ${text}, ${text})`
  expect(await lookEverywhere(id)).toBeLessThan(2 * MEGABYTE)
})

it('shows whatever JSON stands where a run, its work or a dead letter has some', async () => {
  const [id, ended] = [await addRuns(1, `'{}'`), await addRuns(1, `'{}'`)]
  await api.prisma
    .$executeRaw`update "JobRun" set "status" = 'running', "endedAt" = null, "errorCode" = null where "id" = ${id}::uuid`
  const any = fc.oneof(
    fc.constantFrom(...HOSTILE_JSON),
    fc.json({ maxDepth: 3 }).map((json) => json.replaceAll('\\u0000', '')),
  )
  await fc.assert(
    fc.asyncProperty(any, async (json) => {
      await emptyQueue(api.prisma)
      await api.prisma.$executeRaw`
        update "JobRun" set "details" = ${json}::jsonb, "progress" = ${json}::jsonb, "batchMarks" = ${json}::jsonb,
          "shown" = ${json}::jsonb, "logs" = ${json}::jsonb, "result" = ${json}::jsonb`
      // What hosts give: their columns for people, and their tracer's context.
      const facts = `{"shown": ${json}, "trace": ${json}}`
      await api.prisma.$executeRaw`
        insert into "JobWork" ("id", "name", "bytes", "payload", "facts")
        values (gen_random_uuid(), ${dispatchEmail.name}, 2, ${json}::jsonb, ${facts}::jsonb)`
      await api.prisma.$executeRaw`
        insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "facts", "errorCode", "errorMessage")
        values (gen_random_uuid(), ${dispatchEmail.name}, 2, ${json}::jsonb, ${facts}::jsonb, 'gone', ${json})`
      await lookEverywhere(id)
      await get(`/api/jobs/runs/${ended}`)
      expect(JSON.parse(await get('/api/jobs/dead-letters')).deadLetters).toHaveLength(1)
    }),
    { numRuns: 12, examples: HOSTILE_JSON.map((json) => [json]) },
  )
})

it.each([
  [
    'a schedule in no zone and without a cron expression',
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${NAME}', 'no cron', 'Nowhere/At all', now())`,
  ],
  [
    'a schedule in a zone without a name',
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${NAME}', '* * * * *', '', now())`,
  ],
  [
    'a cursor without an end',
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${NAME}', '* * * * *', 'UTC', 'infinity')`,
  ],
  [
    'a cursor before all time',
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${NAME}', '* * * * *', 'UTC', '-infinity')`,
  ],
  [
    'a far cursor',
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('${NAME}', '* * * * *', 'UTC', '99999-01-01')`,
  ],
  ['a run that started before all time', `update "JobRun" set "startedAt" = '-infinity'`],
  [
    'a run that started never',
    `update "JobRun" set "startedAt" = 'infinity', "endedAt" = 'infinity'`,
  ],
  [
    'a run of the year 12000',
    `update "JobRun" set "startedAt" = '12000-01-01', "endedAt" = '12000-01-01', "dueAt" = '12000-01-01', "scheduledFor" = '12000-01-01'`,
  ],
  [
    'a run of a year that JavaScript does not have',
    `update "JobRun" set "startedAt" = '294276-12-31', "endedAt" = '294276-12-31', "dueAt" = '294276-12-31'`,
  ],
  [
    'a run before Christ',
    `update "JobRun" set "startedAt" = '4000-01-01 BC', "endedAt" = '4000-01-01 BC', "dueAt" = '4000-01-01 BC'`,
  ],
  [
    'a tick of never',
    `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId") values ('${NAME}', 'infinity', 'skipped', 'w1')`,
  ],
  [
    'dead letters of never',
    `insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "failedAt", "errorCode", "errorMessage") values (gen_random_uuid(), '${dispatchEmail.name}', 2, '{}', 'infinity', 'gone', '')`,
  ],
  [
    'work of never',
    `insert into "JobWork" ("id", "name", "bytes", "payload", "place", "dueAt") values (gen_random_uuid(), '${dispatchEmail.name}', 2, '{}', null, 'infinity')`,
  ],
  [
    'work under way for ever',
    `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts") values (gen_random_uuid(), '${dispatchEmail.name}', 'w1', '-infinity', 'infinity', array[gen_random_uuid()], array[now()])`,
  ],
  [
    'an action of never',
    `insert into "JobAction" ("action", "name", "actor", "at") values ('cancel', '${NAME}', 'x', 'infinity')`,
  ],
])('shows %s, which somebody has written by hand', async (_what, sql) => {
  const id = await addRuns(1, `'{}'`)
  await api.prisma.$executeRawUnsafe(sql)
  expect(await lookEverywhere(id)).toBeLessThan(2 * MEGABYTE)
  for (const name of [NAME, dispatchEmail.name]) await get(`/api/console/jobs/${name}`)
  await get('/api/jobs/dead-letters/causes')
  await api.prisma.$executeRaw`
    insert into "JobWork" ("id", "name", "bytes", "payload") values (gen_random_uuid(), ${dispatchEmail.name}, 2, '{}')`
  const work = await api.prisma.$queryRaw<{ id: string }[]>`
    select "id"::text from "JobWork" union select "id"::text from "JobDeadLetter"
    union select unnest("runIds")::text from "JobClaim"`
  for (const piece of work) await get(`/api/jobs/work/${piece.id}/explain`)
})

/** Shapes that come close to what we write. */
const HOSTILE_JSON = [
  '{"a": {"b": 1}, "c": [1], "d": 1e400}',
  '{"at": {"b": 1}, "rows": "x", "done": {}, "total": [], "lines": {}, "earlier": "x"}',
  '[{"at": "x", "rows": {}}, null, 1]',
  '{"lines": [{"at": {}, "level": 1, "message": []}, null], "earlier": -1}',
  '{"done": 1e400, "total": "x"}',
  '{"error": [], "guard": "x", "code": {}, "message": 1, "cleaned": {"a": 1}, "counts": []}',
  '{"constructor": 1, "__proto__": {"a": 1}, "toString": "x"}',
]

/** Asks all routes that show the run, and returns the length of the longest answer. */
async function lookEverywhere(id: string): Promise<number> {
  let longest = 0
  for (const url of [
    '/api/jobs',
    '/api/jobs/runs',
    `/api/jobs/runs/${id}`,
    '/api/jobs/runs.csv',
    `/api/jobs/${NAME}/ticks`,
    '/api/jobs/dead-letters',
    '/api/jobs/work',
    '/api/jobs/work/groups',
    '/api/jobs/dead-letters/groups',
    '/api/console/overview',
    '/api/console/jobs',
    `/api/console/jobs/${NAME}`,
    '/api/console/queue',
    '/api/console/workers',
  ]) {
    longest = Math.max(longest, (await get(url)).length)
  }
  return longest
}
