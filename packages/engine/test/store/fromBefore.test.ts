// Not quick: migrates many databases.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createTestDatabase, type TestDatabase } from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/index.ts'
import { checkMigrations, foreseeMove, migrationSql, uninstallSql } from '../../src/internal.ts'
import { migrate } from '../../src/migrate.ts'
import { STEPS } from '../../src/store/steps.ts'
import { createWorker } from '../../src/worker.ts'
import { readCatalogue } from '../readCatalogue.ts'

const TABLES_OF_02 = await readFile(join(import.meta.dirname, '../fixtures/tablesOf02.sql'), 'utf8')

const ALL = STEPS.map(({ name }) => name)

let database: TestDatabase
let client: pg.Client

beforeEach(async () => {
  database = await createTestDatabase({ migrated: false })
  client = new pg.Client({ connectionString: database.url, application_name: 'test' })
  await client.connect()
  await client.query(TABLES_OF_02)
})

afterEach(async () => {
  await client.end()
  await database.drop()
})

const options = () => ({ databaseUrl: database.url, schema: 'public' })
const move = async () => await migrate(options())

async function rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await client.query(sql, values)).rows
}

/** As 0.2 declares the queue of a job. */
const declare = (name: string, retentionSeconds = 315_360_000) =>
  client.query(
    `insert into pgboss.queue (name, policy, retry_limit, retry_delay, retry_backoff, expire_seconds, retention_seconds, deletion_seconds, partition, table_name)
     values ($1, 'standard', 3, 1, true, 900, $2, 604800, false, 'job_common') on conflict do nothing`,
    [name, retentionSeconds],
  )

const columnsOf = (row: object) =>
  Object.keys(row)
    .map((column) => `"${column}"`)
    .join(', ')

async function insert(table: string, row: Record<string, unknown>): Promise<void> {
  const places = Object.keys(row).map((_, at) => `$${at + 1}`)
  await client.query(
    `insert into ${table} (${columnsOf(row)}) values (${places.join(', ')})`,
    Object.values(row),
  )
}

let made = 0
/** An id that sorts by when it was made. */
const nextId = () => `00000000-0000-7000-8000-${String(++made).padStart(12, '0')}`

/** A row as 0.2 enqueues it, with what is different. */
async function enqueue(row: Record<string, unknown> = {}, payload: unknown = {}): Promise<string> {
  const { data = { trigger: 'queue', payload }, ...others } = row
  const whole = {
    id: nextId(),
    name: 'parcel',
    retry_limit: 3,
    retry_delay: 1,
    retry_backoff: true,
    policy: 'standard',
    keep_until: '2036-01-01Z',
    data: data === null ? null : JSON.stringify(data),
    ...others,
  }
  await insert('pgboss.job', whole)
  return whole.id
}

const runOf = (id: string, row: Record<string, unknown> = {}) => ({
  id,
  name: 'parcel',
  status: 'running',
  trigger: 'queue',
  queueJobId: id,
  workerId: 'gone',
  startedAt: '2026-01-01Z',
  ...row,
})

describe('the move from 0.2', () => {
  beforeEach(() => declare('parcel'))

  it('leaves the tables that an empty database gets', async () => {
    await enqueue()
    await move()
    // A renamed column keeps its old name inside of an index, where nothing reads it.
    const moved = (await readCatalogue(client)).map((line) =>
      line.replace('_workId_idx queueJobId', '_workId_idx workId'),
    )
    const fresh = await createTestDatabase({ migrated: false })
    const freshClient = new pg.Client({ connectionString: fresh.url })
    await freshClient.connect()
    try {
      await migrate({ databaseUrl: fresh.url, schema: 'public' })
      expect(moved.filter((line) => !line.includes('pgboss'))).toEqual(
        await readCatalogue(freshClient),
      )
    } finally {
      await freshClient.end()
      await fresh.drop()
    }
    expect(await migrate(options())).toEqual([])
    await client.query(uninstallSql({ schema: 'public' }))
    expect(await readCatalogue(client)).toEqual(['schema public'])
  })

  it('keeps the order in which work is taken, with priorities, labels and keys', async () => {
    const createdOn = (second: number) => ({
      created_on: new Date(Date.UTC(2026, 0, 1, 0, 0, second)),
    })
    const late = await enqueue({ ...createdOn(3), start_after: '2026-01-01Z' }, { n: 1 })
    const early = await enqueue({ ...createdOn(1), start_after: '2026-01-01Z', singleton_key: 'a' })
    const urgent = await enqueue({ ...createdOn(2), start_after: '2026-01-01Z', priority: 7 })
    const delayed = await enqueue({ start_after: '2099-01-01Z', singleton_key: 'b' })
    const told = await enqueue({
      ...createdOn(4),
      start_after: '2026-01-01Z',
      data: {
        trigger: 'manual',
        payload: { n: 2 },
        actor: 'olga',
        dryRun: true,
        label: 'Parcel 2',
        shown: { to: null },
        expiresAt: '2032-02-29T04:05:06.000Z',
        lost: 1,
      },
    })
    await move()

    expect(
      await rows(
        `select "id"::text, "rank", "attempt", "failures", "losses", "uniqueKey", "label", "facts", "payload", "bytes"
         from "JobWork" where "place" is not null order by "rank", "place"`,
      ),
    ).toMatchObject([
      { id: urgent, rank: -7 },
      { id: early, rank: 0, uniqueKey: 'a', attempt: 1, facts: null },
      { id: late, payload: { n: 1 }, bytes: 8 },
      {
        id: told,
        label: 'Parcel 2',
        losses: 1,
        facts: {
          trigger: 'manual',
          actor: 'olga',
          dryRun: true,
          shown: { to: null },
          expiresAt: '2032-02-29T04:05:06.000Z',
        },
      },
    ])
    expect(await rows(`select "id"::text, "dueAt" from "JobWork" where "place" is null`)).toEqual([
      { id: delayed, dueAt: new Date('2099-01-01Z') },
    ])
    expect(await rows(`select "key", "workId"::text from "JobUnique" order by 1`)).toEqual([
      { key: 'a', workId: early },
      { key: 'b', workId: delayed },
    ])
    // The next piece comes after all.
    const next = await rows(
      `insert into "JobWork" ("id", "name", "bytes") values (gen_random_uuid(), 'parcel', 2)
       returning "place" > (select max("place") from "JobWork") as "isLast"`,
    )
    expect(next).toEqual([{ isLast: true }])
  })

  it('counts attempts, and of them those that cost a retry', async () => {
    const failedTwice = await enqueue({ state: 'retry', retry_count: 1, started_on: '2026-01-01Z' })
    // Each lost attempt had raised its limit.
    const lostTwice = await enqueue({
      state: 'retry',
      retry_count: 1,
      retry_limit: 5,
      started_on: '2026-01-01Z',
      data: { trigger: 'queue', payload: {}, lost: 2, lostAlone: 1 },
    })
    const givenBack = await enqueue({ state: 'retry', retry_count: -1, started_on: '2026-01-01Z' })
    await move()
    expect(
      await rows(
        `select "id"::text, "attempt", "failures", "losses", "lossesAlone" from "JobWork" order by "id"`,
      ),
    ).toEqual([
      { id: failedTwice, attempt: 3, failures: 2, losses: 0, lossesAlone: 0 },
      { id: lostTwice, attempt: 3, failures: 0, losses: 2, lossesAlone: 1 },
      { id: givenBack, attempt: 1, failures: 0, losses: 0, lossesAlone: 0 },
    ])
  })

  it('ends what dead workers had, and its work waits again', async () => {
    const active = { state: 'active', started_on: '2026-01-01Z', retry_count: 0 }
    const [alone, byHand, failing, unrecorded] = [
      await enqueue(active),
      await enqueue({ ...active, retry_count: 4, retry_limit: 4 }),
      await enqueue({ ...active, retry_count: 1 }),
      await enqueue(active),
    ]
    const [start, told] = [nextId(), nextId()]
    await insert('"JobRun"', runOf(alone))
    await insert('"JobRun"', runOf(nextId(), { trigger: 'cli', queueJobId: byHand, attempt: 5 }))
    await insert(
      '"JobRun"',
      runOf(nextId(), { queueJobId: failing, attempt: 2, details: { sent: 3 } }),
    )
    await insert('"JobRun"', runOf(nextId(), { trigger: 'cli', queueJobId: null }))
    await insert('"JobClaim"', {
      id: nextId(),
      name: 'parcel',
      workerId: 'gone',
      runIds: [alone],
      isAlone: true,
    })
    await insert('"JobRun"', runOf(told, { status: 'success', endedAt: '2026-01-02Z' }))
    await client.query(
      `insert into "JobStart" ("id", "name", "workerId", "startedAt", "retryLimit", "runIds", "envelopes", "enqueuedAt")
       values (gen_random_uuid(), 'parcel', 'gone', '2026-01-01Z', 3, $1, array['{"trigger": "queue", "payload": {"n": 1}, "label": "L"}', '{}']::jsonb[], array['2025-12-31Z', '2025-12-31Z']::timestamptz[])`,
      [[start, told]],
    )
    await move()

    const work = await rows(
      `select "id"::text, "attempt", "failures", "losses", "lossesAlone", "place" is not null as "isReady" from "JobWork" order by "id"`,
    )
    expect(work).toEqual([
      { id: alone, attempt: 2, failures: 0, losses: 1, lossesAlone: 1, isReady: true },
      { id: failing, attempt: 3, failures: 1, losses: 1, lossesAlone: 0, isReady: true },
      { id: unrecorded, attempt: 2, failures: 0, losses: 0, lossesAlone: 0, isReady: true },
      { id: start, attempt: 2, failures: 0, losses: 1, lossesAlone: 0, isReady: true },
    ])
    expect(await rows(`select "id"::text, "attempt", "errorCode" from "JobDeadLetter"`)).toEqual([
      { id: byHand, attempt: 5, errorCode: 'worker_lost' },
    ])
    const runs = await rows(
      `select "workId"::text, "status", "errorCode", "details", "label" from "JobRun" order by "attempt", "workId"`,
    )
    const lost = { status: 'failed', errorCode: 'worker_lost' }
    expect(runs).toMatchObject([
      { workId: alone, ...lost },
      { workId: start, ...lost, label: 'L' },
      { workId: told, status: 'success' },
      { workId: null, ...lost },
      { workId: failing, ...lost, details: { sent: 3, error: { code: 'worker_lost' } } },
      { workId: byHand, ...lost },
    ])
    expect(await rows('select from "JobRunAll" where "status" = \'running\'')).toEqual([])
  })

  it('keeps dead letters with long payloads, and what waits for an approval', async () => {
    const over = { state: 'failed', retry_count: 3, started_on: '2026-01-01Z' }
    const long = { text: 'x'.repeat(1_000) }
    const given = { completed_on: '2026-02-01Z', output: { code: 'boom', message: 'No' } }
    const letter = await enqueue({ ...over, ...given, singleton_key: 'k' }, long)
    const expired = await enqueue({ ...over, completed_on: '2026-02-02Z' })
    const blocked = (completedOn: Date) =>
      enqueue({
        ...over,
        completed_on: completedOn,
        output: { code: 'guard_blocked' },
        data: { trigger: 'cli', payload: { n: 1 } },
      })
    const approvable = await blocked(new Date())
    await rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "endedAt", "queueJobId", "workerId", "errorCode")
       values (gen_random_uuid(), 'letter', 'failed', 'cli', now(), $1, 'w0', 'guard_blocked')`,
      [approvable],
    )
    await blocked(new Date('2026-01-01Z'))
    // Over: neither dry runs, ticks, nor what was cancelled, is a dead letter.
    await enqueue({ ...over, ...given, data: { trigger: 'schedule', payload: {} } })
    await enqueue({ ...over, ...given, data: { trigger: 'manual', payload: {}, dryRun: true } })
    await enqueue({ ...over, ...given, state: 'cancelled' })
    await move()

    expect(await rows('select * from "JobDeadLetter" order by "failedAt"')).toMatchObject([
      {
        id: letter,
        attempt: 4,
        failures: 4,
        uniqueKey: 'k',
        payload: null,
        failedAt: new Date('2026-02-01Z'),
        errorCode: 'boom',
        errorMessage: 'No',
      },
      { id: expired, payload: {}, errorCode: 'expired' },
    ])
    expect(
      await rows(
        `select "id"::text, "payload", exists (select from "JobRun" where "payloadId" = "JobPayload"."id") as "isKept"
         from "JobPayload" order by 1`,
      ),
    ).toEqual([
      { id: letter, payload: long, isKept: false },
      { id: approvable, payload: { n: 1 }, isKept: true },
    ])
    expect(await rows('select from "JobUnique"')).toEqual([])
  })

  it('drops what newer work has replaced, and says so', async () => {
    const newer = await enqueue({ singleton_key: 'k' })
    const replaced = await enqueue({
      state: 'retry',
      started_on: '2026-01-01Z',
      data: { trigger: 'queue', payload: {}, replacedBy: newer },
    })
    await move()
    expect(await rows('select "id"::text from "JobWork"')).toEqual([{ id: newer }])
    expect(await rows('select "action", "name", "workId"::text, "actor" from "JobAction"')).toEqual(
      [{ action: 'cancelWork', name: 'parcel', workId: replaced, actor: 'roundsman' }],
    )
  })

  it('accounts for each piece, whatever somebody has written into it', async () => {
    const state = fc.constantFrom('created', 'retry', 'active', 'failed')
    const data = fc.oneof(
      fc.jsonValue(),
      fc.record({
        trigger: fc.constantFrom('queue', 'manual', 'schedule', 'cli', 'other', 1),
        payload: fc.jsonValue(),
        label: fc.jsonValue(),
        shown: fc.jsonValue(),
        dryRun: fc.jsonValue(),
        actor: fc.jsonValue(),
        lost: fc.oneof(fc.jsonValue(), fc.bigInt().map(String), fc.constant(1e300)),
        scheduledFor: fc.constantFrom(
          '2026-02-30T00:00:00.000Z',
          'tomorrow',
          '2026-02-28T00:00:00.000Z',
          7,
        ),
        attemptsBefore: fc.oneof(fc.jsonValue(), fc.nat()),
        trace: fc.jsonValue(),
      }),
    )
    const INSTANTS = ['-infinity', 'infinity', '294276-01-01Z', '2026-01-01Z']
    const piece = fc.record({
      state,
      data,
      priority: fc.integer({ min: -2_147_483_648, max: 2_147_483_647 }),
      retry_count: fc.integer({ min: -1, max: 2_147_483_600 }),
      retry_limit: fc.integer({ min: 0, max: 2_147_483_647 }),
      start_after: fc.constantFrom(...INSTANTS),
      created_on: fc.constantFrom(...INSTANTS),
      started_on: fc.constantFrom(null, ...INSTANTS),
      completed_on: fc.constantFrom(null, ...INSTANTS),
    })
    const pieces = fc.sample(piece, 400).map((one) => ({
      ...one,
      // PostgreSQL keeps no such character in JSON.
      data: JSON.parse(JSON.stringify(one.data).replaceAll(/\\u0000|\\u[dD][89a-fA-F]../g, '?')),
    }))
    // Of another job with the id of the first.
    await declare('letter')
    const ids = []
    for (const one of pieces) ids.push(await enqueue(one))
    await enqueue({ id: ids[0], name: 'letter' })
    await move()

    const [counts] = await rows(`
      select (select count(*)::int from "JobWork") as work, (select count(*)::int from "JobDeadLetter") as letters,
             (select count(*)::int from "JobWork" where "payload" is null and "payloadId" not in (select "id" from "JobPayload")) as bare`)
    const isLetter = ({ state: of, data: value }: (typeof pieces)[number]) => {
      const { trigger = 'queue', dryRun } = (value ?? {}) as Record<string, unknown>
      const isEnvelope = ['manual', 'schedule', 'cli'].includes(trigger as string)
      return (
        of === 'failed' &&
        (!isEnvelope || Array.isArray(value) || (trigger === 'manual' && dryRun !== true))
      )
    }
    const failed = pieces.filter((one) => one.state === 'failed').length
    expect(counts).toEqual({
      work: pieces.length - failed + 1,
      letters: pieces.filter(isLetter).length,
      bare: 0,
    })
    // What JavaScript and the engine read of all that.
    const all = await rows('select * from "JobWork"')
    for (const { dueAt, enqueuedAt, facts, attempt, failures } of all) {
      expect([dueAt, enqueuedAt].every((at) => !Number.isNaN((at as Date).getTime()))).toBe(true)
      expect(attempt as number).toBeGreaterThanOrEqual(1)
      expect(failures as number).toBeGreaterThanOrEqual(0)
      expect(facts).not.toEqual({})
    }
    expect((await rows('select * from "JobWaiting"')).length).toBe(all.length)
  })
})

describe('the move from 0.2 refuses', () => {
  it('while workers live or clients are connected, and names them', async () => {
    await declare('parcel')
    await enqueue()
    await insert('"JobWorker"', { id: 'w-heart', liveness: 'heartbeat' })
    await insert('"JobWorker"', { id: 'w-dead', liveness: 'lock' })
    const other = new pg.Client({
      connectionString: database.url,
      application_name: 'roundsman client',
    })
    await other.connect()
    const before = await readCatalogue(client)
    await expect(move()).rejects.toThrow(
      /^Processes of the version before .*session \d+ of \w+ \(roundsman client\), worker w-heart; stop them, then migrate$/,
    )
    expect(await readCatalogue(client)).toEqual(before)
    await other.end()
    await client.query(`update "JobWorker" set "heartbeatAt" = now() - interval '1 hour'`)
    await expect.poll(move).toEqual(ALL)
  })

  it('tables that are older', async () => {
    await client.query(`delete from "JobMigration" where "name" = 'workerSchedules'`)
    await expect(move()).rejects.toThrow(/older .* update to that first/)
    await expect(foreseeMove(options())).rejects.toThrow(/older .* update to that first/)
  })

  it('nothing by halves: killed on the way it leaves all as it was', async () => {
    await declare('parcel')
    await enqueue()
    const before = await readCatalogue(client)
    for (const at of [1, 20, 40]) {
      await client.query(`
        create sequence public.commands;
        create function public.kill() returns event_trigger language plpgsql as $$ begin
          if current_setting('application_name') = 'roundsman migrate' and nextval('public.commands') = ${at}
          then perform pg_terminate_backend(pg_backend_pid());
          end if;
        end $$;
        create event trigger killer on ddl_command_end execute function public.kill()`)
      await expect(move()).rejects.toThrow(/terminat/i)
      await client.query(
        'drop event trigger killer; drop function public.kill; drop sequence public.commands',
      )
      expect(await readCatalogue(client)).toEqual(before)
    }
    expect(await move()).toEqual(ALL)
    expect(await rows('select from "JobWork"')).toHaveLength(1)
  })
})

describe('after the move from 0.2', () => {
  it('a process of 0.2 is told, wherever it looks', async () => {
    await declare('parcel')
    await move()
    await expect(enqueue()).rejects.toThrow('this database is Roundsman 0.3: deploy this process')
    await expect(client.query(`update pgboss.job set state = 'active'`)).rejects.toThrow(
      'Roundsman 0.3',
    )
    // What 0.2 reads when it starts: a step that it does not know, and that breaks it.
    expect(await rows('select "name", "breaks" from "JobMigration"')).toContainEqual({
      name: 'ownQueue',
      breaks: true,
    })
    expect(await rows('select from pgboss.queue')).toEqual([])
  })

  it('a worker does all that was due, and once only', async () => {
    await declare('parcel')
    const due = [
      await enqueue({ start_after: '2026-01-01Z', singleton_key: 'a' }, { n: 1 }),
      await enqueue({ start_after: '2026-01-01Z', priority: 5 }, { n: 2, text: 'x'.repeat(2_000) }),
      await enqueue({ state: 'active', started_on: '2026-01-01Z' }, { n: 3 }),
    ]
    await insert('"JobRun"', runOf(due[2]!))
    const delayed = await enqueue({ start_after: '2099-01-01Z' }, { n: 4 })
    await move()

    const done: number[] = []
    const pool = new pg.Pool({ connectionString: database.url })
    const worker = createWorker({
      ...options(),
      client: pool,
      jobs: [defineJob({ name: 'parcel', payload: z.looseObject({ n: z.int() }) })],
      handlers: { parcel: async ({ payload }) => void done.push(payload.n) },
      retention: false,
      log: pino({ level: 'silent' }),
    })
    await worker.start()
    await expect.poll(() => rows('select "id" from "JobWork"')).toEqual([{ id: delayed }])
    await worker.stop()
    await pool.end()
    expect(done.toSorted((a, b) => a - b)).toEqual([1, 2, 3])
    expect(
      await rows(`select "workId" from "JobRun" where "status" = 'success' order by "workId"`),
    ).toEqual(due.map((workId) => ({ workId })))
    expect(await rows('select from "JobUnique"')).toEqual([])
  })

  it("a product's own queues in pgboss stay as they were", async () => {
    await declare('parcel')
    await enqueue()
    await declare('theirs', 1_209_600)
    await enqueue({ name: 'theirs' })
    await move()
    expect(await rows('select name from pgboss.queue')).toEqual([{ name: 'theirs' }])
    expect(await rows('select name from pgboss.job')).toEqual([{ name: 'theirs' }])
    expect(await rows('select "name" from "JobWork"')).toEqual([{ name: 'parcel' }])
    await enqueue({ name: 'theirs' })
    await client.query(uninstallSql({ schema: 'public' }))
    expect(await rows('select name from pgboss.job')).toHaveLength(2)
  })
})

describe('the move from 0.2, before it is made', () => {
  it('is told with all that it would do', async () => {
    await declare('parcel')
    await enqueue({}, { n: 1 })
    await enqueue({ start_after: '2099-01-01Z' })
    await enqueue({ state: 'failed', completed_on: '2026-01-01Z', output: {} })
    const active = await enqueue({ state: 'active', started_on: '2026-01-01Z' })
    await insert('"JobRun"', runOf(active))
    await declare('theirs', 1_209_600)
    const before = await readCatalogue(client)
    expect(await foreseeMove(options())).toMatchObject({
      ready: 2,
      delayed: 1,
      deadLetters: 1,
      kept: 0,
      replaced: 0,
      lostRuns: 1,
      payloadBytes: 14,
      others: ['theirs'],
    })
    expect(await readCatalogue(client)).toEqual(before)
    await move()
    expect(await foreseeMove(options())).toBeNull()
  })

  it('is printed as a script, which does the same', async () => {
    await client.query(
      'drop schema public cascade; drop schema pgboss cascade; create schema public',
    )
    // As 0.2 makes them in a schema of their own.
    await client.query(`create schema roundsman; set search_path = roundsman`)
    await client.query(TABLES_OF_02.replaceAll('pgboss', 'roundsman'))
    await client.query('reset search_path')
    const { problem, state } = await checkMigrations({ databaseUrl: database.url })
    expect(problem).toMatchObject({ kind: 'older', what: ALL })
    await client.query(migrationSql({ from: state }))
    expect((await checkMigrations({ databaseUrl: database.url })).problem).toBeNull()
    await expect(client.query(`delete from roundsman.job`)).rejects.toThrow('Roundsman 0.3')
    await client.query(uninstallSql())
    expect(await readCatalogue(client)).toEqual(['schema public'])
  })
})
