import { waitFor } from '@roundsman/testing'
import { afterEach, beforeAll, expect, it } from 'vitest'
import { createJobsClient, listJobRuns, openReader } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { readerIn } from '../../src/read/reader.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const letter = defineJob({ name: 'letter', schedule: { cron: '0 0 1 1 *' } })
const by = { actor: 'admin@example.com', reason: 'mended' }

const { runtime, client } = useClientRuntime()

beforeAll(async () => {
  const database = new URL(runtime.url).pathname.slice(1)
  await runtime.rows(`alter database "${database}" set timezone = 'Asia/Tokyo'`)
})

afterEach(async () => {
  await runtime.clear('JobAction', 'JobSchedule')
})

it('reads instants as ISO 8601 in UTC, whatever the zone and however many digits', async () => {
  const instants = {
    '2026-05-01T12:00:00Z': '2026-05-01T12:00:00.000Z',
    '2026-05-01T12:00:00.1Z': '2026-05-01T12:00:00.100Z',
    '2026-05-01T12:00:00.12Z': '2026-05-01T12:00:00.120Z',
    '2026-05-01T12:00:00.123Z': '2026-05-01T12:00:00.123Z',
    '2026-05-01T12:00:00.123987Z': '2026-05-01T12:00:00.123Z',
    '2026-05-01T12:00:00.5+09:00': '2026-05-01T03:00:00.500Z',
    '0001-01-01T00:00:00Z': '0001-01-01T00:00:00.000Z',
    // What others can't read becomes the nearest that they can.
    '12026-05-01T12:00:00.5Z': '9999-12-31T23:59:59.999Z',
    '275761-01-01T00:00:00Z': '9999-12-31T23:59:59.999Z',
    '294276-12-31T00:00:00Z': '9999-12-31T23:59:59.999Z',
    '4000-01-01T00:00:00Z BC': '0001-01-01T00:00:00.000Z',
    infinity: '9999-12-31T23:59:59.999Z',
    '-infinity': '0001-01-01T00:00:00.000Z',
  }
  const texts = Object.keys(instants)
  const rows = await client.reader.rows<{ at: string }>({
    text: 'select text::timestamptz as at from unnest($1::text[]) with ordinality as t(text, n) order by n',
    values: [texts],
  })
  expect(rows.map(({ at }) => at)).toEqual(Object.values(instants))
})

it('reads what JSON, numbers and nothing are, on its own and in a transaction of the caller', async () => {
  const text = `select '{"a": [1, null]}'::jsonb as json, 3 as number, true as yes, null::timestamptz as nothing,
                       timestamptz '2026-05-01 12:00:00.5+00' as at`
  const row = {
    json: { a: [1, null] },
    number: 3,
    yes: true,
    nothing: null,
    at: '2026-05-01T12:00:00.500Z',
  }
  expect(await client.reader.rows({ text })).toEqual([row])
  await runtime.prisma.$transaction(async (tx) => {
    expect(await readerIn(tx, runtime.database.schema).rows({ text })).toEqual([row])
  })
})

it('opens no connection before it is asked, and leaves none behind', async () => {
  const connections = () =>
    runtime.rows(
      `select from pg_stat_activity where application_name = 'roundsman reader' and datname = current_database()`,
    )
  const other = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await other.start()
  const before = (await connections()).length
  await Promise.all(Array.from({ length: 20 }, () => other.reader.rows({ text: 'select 1' })))
  const opened = (await connections()).length - before
  expect(opened).toBe(5)
  await other.stop()
  await waitFor(async () => (await connections()).length === before)
})

it('keeps no statement prepared, however many runs there are and whatever is asked for', async () => {
  const open = async () => {
    const other = createJobsClient({
      schema: 'public',
      databaseUrl: runtime.url,
      log: runtime.log,
    })
    const watch = () => {
      other.watchChanges({ onChange: () => undefined, onGap: () => undefined })
      return waitFor(async () => other.areConnectionsLasting())
    }
    const readPages = async (...limits: number[]) => {
      for (const limit of limits) await listJobRuns(other.reader, { limit })
      await listJobRuns(other.reader, { limit: 50, name: 'letter' })
      return await other.reader.rows({ text: 'select "name" from pg_prepared_statements' })
    }
    return { watch, readPages, stop: () => other.stop() }
  }
  const [early, late] = [await open(), await open()]
  try {
    await early.watch()
    expect(await early.readPages(50, 50)).toEqual([])
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt")
       select gen_random_uuid(), 'letter', 'queue', repeat('w', 900), 'success', now() from generate_series(1, 18000)`,
    )
    expect(await late.readPages(50)).toEqual([])
    await late.watch()
    expect(await late.readPages(50, 50)).toEqual([])
    expect(await late.readPages(...Array.from({ length: 20 }, (_, at) => at + 1))).toEqual([])
    expect(await early.readPages(50)).toEqual([])
  } finally {
    await runtime.rows('delete from "JobRun"')
    await early.stop()
    await late.stop()
  }
})

it('cancels a statement that takes too long', async () => {
  const reader = openReader({
    schema: 'public',
    databaseUrl: runtime.url,
    log: runtime.log,
    statementTimeoutMs: 100,
  })
  await expect(reader.rows({ text: 'select pg_sleep(60)::text' })).rejects.toThrow(
    /statement timeout/,
  )
  await reader.close()
})

it('says that a client is stopped to who still reads or acts by it', async () => {
  const stopped = createJobsClient({ schema: 'public', databaseUrl: runtime.url, log: runtime.log })
  await stopped.start()
  await stopped.stop()
  const problem = 'This jobs client is stopped: make another one with createJobsClient'
  await expect(stopped.reader.rows({ text: 'select 1' })).rejects.toThrow(problem)
  await expect(stopped.pauseSchedule('letter', by)).rejects.toThrow(problem)
})

it('does what a person asks for in a transaction of its own, all of it or nothing', async () => {
  await runtime.rows(
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "updatedAt")
     values ('letter', '0 0 1 1 *', 'UTC', now(), now())`,
  )
  const workId = await client.requestRun(letter, by)
  expect(await client.pauseSchedule('letter', by)).toBe('paused')
  expect(await client.resumeSchedule('letter', by)).toBe('resumed')
  expect(await client.cancelRun(crypto.randomUUID(), by)).toBe('notFound')
  expect(await client.approveRun(crypto.randomUUID(), by)).toEqual({ kind: 'notFound' })
  const none = { redriven: 0, alreadyQueued: 0, endedWorkers: 0, cancelled: 0, unknown: 0, left: 0 }
  expect(await client.redriveDeadLetters('all', by)).toEqual(none)
  const discard = client.discardDeadLetters({ ids: [workId] }, by)
  expect(await discard).toEqual({ discarded: 0, left: 0 })
  const actions = () => runtime.rows('select "action" from "JobAction" order by "at"')
  expect(await actions()).toEqual([{ action: 'run' }, { action: 'pause' }, { action: 'resume' }])

  await runtime.rows(
    `create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$`,
  )
  await runtime.rows(
    'create trigger refuse before insert on "JobAction" for each row execute function refuse()',
  )
  try {
    await expect(client.requestRun(letter, by)).rejects.toThrow('refused')
    await expect(client.pauseSchedule('letter', by)).rejects.toThrow('refused')
  } finally {
    await runtime.rows('drop function refuse cascade')
  }
  expect(await runtime.rows('select "id" from "JobWork"')).toEqual([{ id: workId }])
  expect(await runtime.rows('select "pausedAt" from "JobSchedule"')).toEqual([{ pausedAt: null }])
})
