// Not quick: makes pg-boss's tables for each test.
import { defineJob } from '@roundsman/engine'
import { createJobsClient } from '@roundsman/engine/client'
import type { PgBossImport } from '@roundsman/engine/internal'
import { createWorker } from '@roundsman/engine/worker'
import { collectOutput, createTestDatabase, waitFor, type TestDatabase } from '@roundsman/testing'
import pg from 'pg'
import { PgBoss, type ConstructorOptions } from 'pg-boss'
import { pino } from 'pino'
import { z } from 'zod'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { exitCodeOf } from '../../src/command/runCommand.ts'
import { asForeseen } from '../../src/config/asForeseen.ts'
import { createImportCommand } from '../../src/import/importCommand.ts'

const anything = z.looseObject({})
const parcel = defineJob({
  name: 'parcel',
  description: 'Sends a parcel.',
  payload: anything,
  retry: { limit: 2, delayMs: 1_000 },
})
const letter = defineJob({ name: 'letter', description: 'Sends a letter.', payload: anything })
const JOBS = [parcel, letter]

let database: TestDatabase
let pool: pg.Pool
let boss: PgBoss

beforeEach(async () => {
  database = await createTestDatabase()
  pool = new pg.Pool({ connectionString: database.url, max: 4 })
  pool.on('error', () => undefined)
  boss = await openBoss()
  await boss.createQueue('parcel', { retryLimit: 5 })
})

afterEach(async () => {
  await boss.stop({ graceful: false })
  await pool.end()
  await database.drop()
})

/** A process of the product, as far as pg-boss can tell. */
async function openBoss(options: ConstructorOptions = {}): Promise<PgBoss> {
  const made = new PgBoss({
    connectionString: database.url,
    schedule: false,
    supervise: false,
    ...options,
  })
  made.on('error', () => undefined)
  return await made.start()
}

const command = createImportCommand({
  call: 'roundsman import',
  open: async () => ({
    jobs: JOBS,
    within: (use) => asForeseen(() => use({ databaseUrl: database.url, schema: 'public' })),
  }),
})

async function run(...args: string[]) {
  const output = collectOutput()
  const { stdout, stderr } = output
  const code = await exitCodeOf(command, ['pg-boss', ...args], { variables: {}, stdout, stderr })
  return { code, ...output.texts() }
}

/** Imports, which must succeed, and returns what it says. */
async function take(...args: string[]): Promise<PgBossImport & { isDryRun: boolean }> {
  const { code, stdout, stderr } = await run('--json', ...args)
  expect(stderr).toBe('')
  expect(code).toBe(0)
  return JSON.parse(stdout) as PgBossImport & { isDryRun: boolean }
}

async function rows(sql: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  return (await pool.query<Record<string, unknown>>(sql, values)).rows
}

const send = async (...args: Parameters<PgBoss['send']>): Promise<string> => {
  const id = await boss.send(...(args as [string, object | null]))
  if (id === null) throw new Error('pg-boss has not taken it')
  return id
}

/** What waits in Roundsman, in the order in which it is taken. */
const listWork = () =>
  rows(
    `select work."id", work."name", "rank", "attempt", "failures", "uniqueKey", "place" is null as "isDelayed",
            coalesce(work."payload", long."payload") as "payload"
     from "JobWork" work left join "JobPayload" long on long."id" = work."payloadId" order by "rank", "place" nulls last, "dueAt"`,
  )

/** How many rows pg-boss has in each state. */
async function countStates(name: string): Promise<Record<string, number>> {
  const found = await rows(
    `select state::text, count(*)::int from pgboss.job where name = $1 group by 1`,
    [name],
  )
  return Object.fromEntries(found.map(({ state, count }) => [state, count]))
}

const fetchOne = async (name: string): Promise<{ id: string; data: object }> => {
  const [job] = await boss.fetch<object>(name)
  if (!job) throw new Error(`nothing waits in ${name}`)
  return job
}

/** Runs all that is due soon, and returns the payloads in the order in which they came. */
async function work(end: () => unknown = () => undefined): Promise<unknown[]> {
  const handled: unknown[] = []
  const handle = async ({ payload }: { payload: unknown }) => {
    handled.push(payload)
    await end()
  }
  const worker = createWorker({
    databaseUrl: database.url,
    schema: 'public',
    client: pool,
    jobs: JOBS,
    handlers: { parcel: handle, letter: handle },
    concurrency: 1,
    log: pino({ level: 'silent' }),
  })
  await worker.start()
  try {
    await waitFor(async () => {
      const [left] = await rows(
        `select ((select count(*) from "JobWork" where "dueAt" < now() + interval '1 minute') + (select count(*) from "JobClaim"))::int as "count"`,
      )
      return left?.['count'] === 0
    })
  } finally {
    await worker.stop()
  }
  return handled
}

const listRuns = () =>
  rows(`select "workId" as "id", "attempt", "status"::text from "JobRun" order by "startedAt"`)

describe('work that waits', () => {
  it('is run by a worker of Roundsman, in the order in which pg-boss would have fetched it', async () => {
    await boss.createQueue('order')
    const places = [0, 3, -1, 0, 3, 2_147_483_647, -2_147_483_648, 0]
    const payloads = places.map((priority, nth) => ({ priority, nth }))
    for (const payload of payloads) {
      await send('parcel', payload, { priority: payload.priority })
      await send('order', payload, { priority: payload.priority })
    }
    const inOrder: unknown[] = []
    for (const _ of payloads) inOrder.push((await fetchOne('order')).data)

    expect((await take()).taken).toEqual([
      { queue: 'parcel', job: 'parcel', work: 8, delayed: 0, withoutKey: 0, deadLetters: 0 },
    ])

    expect(await countStates('parcel')).toEqual({})
    expect((await listWork()).map(({ payload }) => payload)).toEqual(inOrder)
    expect(await work()).toEqual(inOrder)
  })

  it('keeps its id, its payload, its time, its priority and its key', async () => {
    const startAfter = new Date(Date.now() + 86_400_000)
    const long = { text: 'ü'.repeat(1_000) }
    const all = await send(
      'parcel',
      { n: 1 },
      {
        startAfter,
        priority: 7,
        singletonKey: 'k1',
        retryLimit: 9,
        retryDelay: 3,
        retryBackoff: true,
        expireInSeconds: 60,
        retentionSeconds: 86_400,
        deleteAfterSeconds: 60,
        heartbeatSeconds: 30,
      },
    )
    const empty = await send('parcel', null)
    const large = await send('parcel', long)
    const after = await boss.sendAfter('parcel', { n: 2 }, null, 7_200)
    const sent = await rows(`select id, created_on, start_after from pgboss.job`)

    expect((await take()).taken[0]).toMatchObject({ work: 4, delayed: 2, withoutKey: 0 })

    const found = await listWork()
    expect(found).toHaveLength(4)
    const common = { name: 'parcel', rank: 0, attempt: 1, failures: 0, uniqueKey: null }
    expect(found).toEqual(
      expect.arrayContaining([
        { ...common, id: all, rank: -7, uniqueKey: 'k1', isDelayed: true, payload: { n: 1 } },
        { ...common, id: empty, isDelayed: false, payload: {} },
        { ...common, id: large, isDelayed: false, payload: long },
        { ...common, id: after, isDelayed: true, payload: { n: 2 } },
      ]),
    )
    // Roundsman's instants have milliseconds.
    for (const { id, enqueuedAt, dueAt } of await rows(`select * from "JobWork"`)) {
      const before = sent.find((row) => row['id'] === id)
      expect(Number(enqueuedAt)).toBeCloseTo(Number(before?.['created_on']), -1)
      expect(Number(dueAt)).toBeCloseTo(Number(before?.['start_after']), -1)
    }
  })

  it('goes on with the attempts that it has had', async () => {
    const id = await send('parcel', { n: 1 })
    for (const _ of [1, 2]) {
      await fetchOne('parcel')
      await boss.fail('parcel', id, new Error('no van'))
    }
    expect(await countStates('parcel')).toEqual({ retry: 1 })

    await take()

    expect(await listWork()).toMatchObject([{ id, attempt: 3, failures: 2 }])
    await work(() => {
      throw new Error('still no van')
    })
    expect(await listRuns()).toEqual([{ id, attempt: 3, status: 'failed' }])
    expect(await rows(`select "id", "attempt" from "JobDeadLetter"`)).toEqual([{ id, attempt: 3 }])
  })

  it('comes from a schema of any name', async () => {
    const other = await openBoss({ schema: 'queue_of_shop' })
    onTestFinished(() => other.stop({ graceful: false }))
    await other.createQueue('parcel')
    const id = await other.send('parcel', { n: 1 })

    expect((await take()).taken).toEqual([])
    expect((await take('--schema', 'queue_of_shop')).taken).toMatchObject([{ work: 1 }])

    expect(await listWork()).toMatchObject([{ id }])
  })

  it('gets another id where Roundsman has had work with its own', async () => {
    await boss.createQueue('letter')
    const id = await send('parcel', { n: 1 })
    await boss.send('letter', { n: 2 }, { id })
    await take()
    const first = await listWork()
    expect(new Set(first.map((one) => one['id'])).size).toBe(2)
    expect(first.map((one) => one['id'])).toContain(id)
    await work()
    await boss.send('parcel', { n: 3 }, { id })

    await take()

    expect(await listWork()).toMatchObject([{ payload: { n: 3 } }])
    expect((await listWork())[0]?.['id']).not.toBe(id)
  })
})

describe('unique keys', () => {
  it('are those of the oldest, and hold for what is enqueued in Roundsman', async () => {
    const oldest = await send('parcel', { n: 1 }, { singletonKey: 'k' })
    await send('parcel', { n: 2 }, { singletonKey: 'k', priority: 9 })
    await send('parcel', { n: 3 }, { singletonKey: 'k'.repeat(255) })
    await boss.createQueue('letter')
    const ofOther = await send('letter', {}, { singletonKey: 'k' })

    const dry = await take('--dry-run')
    const { taken } = await take()

    expect(taken).toMatchObject([
      { queue: 'letter', work: 1, withoutKey: 0 },
      { queue: 'parcel', work: 3, withoutKey: 1 },
    ])
    expect(dry.taken).toEqual(taken)
    const held = await rows(`select "name", "key", "workId" from "JobUnique" order by 1, 2`)
    expect(held).toEqual([
      { name: 'letter', key: 'k', workId: ofOther },
      { name: 'parcel', key: 'k', workId: oldest },
      { name: 'parcel', key: 'k'.repeat(255), workId: expect.any(String) },
    ])
    const client = createJobsClient({ databaseUrl: database.url, schema: 'public' })
    onTestFinished(() => client.stop())
    expect(await client.enqueueNow(parcel, {}, { uniqueKey: 'k' })).toMatchObject({
      kind: 'alreadyQueued',
      workId: oldest,
    })
    await work()
    expect(await rows(`select from "JobUnique"`)).toEqual([])
  })

  it('stay with the work in Roundsman that has them', async () => {
    const client = createJobsClient({ databaseUrl: database.url, schema: 'public' })
    onTestFinished(() => client.stop())
    const result = await client.enqueueNow(parcel, {}, { uniqueKey: 'k' })
    await send('parcel', { n: 1 }, { singletonKey: 'k' })

    const dry = await take('--dry-run')
    const { taken } = await take()

    expect(taken).toMatchObject([{ work: 1, withoutKey: 1 }])
    expect(dry.taken).toEqual(taken)
    expect(await rows(`select "workId" from "JobUnique"`)).toEqual([{ workId: result.workId }])
  })
})

describe('what stays', () => {
  it('is what is active, has failed, or is over', async () => {
    const ids: string[] = []
    for (const n of [1, 2, 3, 4, 5]) ids.push(await send('parcel', { n }, { retryLimit: 0 }))
    const [, failed, completed, cancelled] = ids as [string, string, string, string]
    await boss.cancel('parcel', cancelled)
    for (const _ of [1, 2, 3]) await fetchOne('parcel')
    await boss.fail('parcel', failed, new Error('no van'))
    await boss.complete('parcel', completed)

    const { taken, left } = await take()

    expect(taken).toMatchObject([{ work: 1 }])
    expect(left).toMatchObject([
      { queue: 'parcel', reason: 'active', count: 1 },
      { queue: 'parcel', reason: 'failed', count: 1 },
    ])
    const [{ created_on: oldest } = {}] = await rows(
      `select created_on from pgboss.job where state = 'active'`,
    )
    expect(left[0]?.oldest).toBe((oldest as Date).toISOString())
    expect(await countStates('parcel')).toEqual({
      active: 1,
      failed: 1,
      completed: 1,
      cancelled: 1,
    })
    const { stdout } = await run()
    expect(stdout).toContain('parcel: 1 active, the oldest of ')
    expect(stdout).toContain('parcel: 1 failed')
  })

  it('is what is in queues of no job, until they are named', async () => {
    await boss.createQueue('send-letter')
    await boss.createQueue('LETTER')
    await send('send-letter', { n: 1 })
    await send('LETTER', { n: 2 })
    await send('parcel', { n: 3 })

    const first = await run('--dry-run')
    expect(first.stdout).toContain('--queue send-letter=JOB takes it for another')
    expect(first.stdout.replaceAll(/\s+/g, ' ')).toContain('--queue LETTER=letter')
    expect(await take('--queue', 'send-letter=letter')).toMatchObject({
      taken: [{ queue: 'send-letter', job: 'letter', work: 1 }],
      left: [
        { queue: 'LETTER', reason: 'notChosen' },
        { queue: 'parcel', reason: 'notChosen' },
      ],
    })
    expect(await listWork()).toMatchObject([{ name: 'letter', payload: { n: 1 } }])
    expect(await take('--all')).toMatchObject({
      taken: [{ queue: 'LETTER', job: 'LETTER' }, { queue: 'parcel' }],
      left: [],
    })
  })

  it('is what is in a queue with a policy, until it is named', async () => {
    await boss.createQueue('letter', { policy: 'singleton' })
    await send('letter', { n: 1 }, { singletonKey: 'k' })

    const { taken, left } = await take()
    expect(taken).toEqual([])
    expect(left).toMatchObject([{ reason: 'policy', policy: 'singleton', count: 1 }])
    const { stdout } = await run()
    expect(stdout).toContain('under the policy singleton. In Roundsman: concurrency: 1')

    expect((await take('--queue', 'letter')).taken).toMatchObject([{ work: 1 }])
    expect(await work()).toEqual([{ n: 1 }])
  })

  it('is what has a group, until its queue is named', async () => {
    await send('parcel', { n: 1 }, { group: { id: 'tenant' } })

    expect((await take()).left).toMatchObject([{ reason: 'group', count: 1 }])
    expect((await take('--queue', 'parcel')).taken).toMatchObject([{ work: 1 }])
  })

  it('is a flow, whose parts wait for each other', async () => {
    await boss.createQueue('letter')
    await boss.flow([
      { ref: 'a', name: 'parcel', data: { n: 1 } },
      { ref: 'b', name: 'letter', data: { n: 2 }, dependsOn: ['a'] },
    ])
    await send('parcel', { n: 3 })

    expect(await take('--all')).toMatchObject({
      taken: [{ queue: 'parcel', work: 1 }],
      left: [
        { queue: 'letter', reason: 'flow', count: 1 },
        { queue: 'parcel', reason: 'flow', count: 1 },
      ],
    })

    const parent = await fetchOne('parcel')
    await boss.complete('parcel', parent.id)
    await boss.resolveFlow()
    expect((await fetchOne('letter')).data).toEqual({ n: 2 })
  })

  it('is what pg-boss may no longer keep, with its ids', async () => {
    const id = await send('parcel', { n: 1 }, { retentionSeconds: 1 })
    await pool.query('select pg_sleep(1.1)')

    expect((await take()).left).toMatchObject([{ reason: 'expired', count: 1, ids: [id] }])
    expect(await countStates('parcel')).toEqual({ created: 1 })
  })

  it('is what no payload or key can be, with its ids', async () => {
    const nested = (levels: number): object =>
      levels === 1 ? {} : { list: levels === 2 ? [] : [nested(levels - 2)] }
    const deepest = await send('parcel', nested(64))
    const tooDeep = await send('parcel', nested(65))
    const tooLarge = await send('parcel', { text: 'x'.repeat(8 * 2 ** 20) })
    const longKey = await send('parcel', {}, { singletonKey: 'k'.repeat(256) })
    const wide = await send('parcel', { list: Array.from({ length: 1_000 }, () => [[{}]]) })

    const { taken, left } = await take()

    expect(taken).toMatchObject([{ work: 2 }])
    expect((await listWork()).map(({ id }) => id)).toEqual([deepest, wide])
    expect(left).toMatchObject([
      { reason: 'unstorable', count: 3, ids: [tooDeep, tooLarge, longKey] },
    ])
    expect(await countStates('parcel')).toEqual({ created: 3 })
    expect(await work()).toHaveLength(2)
  })

  it('is schedules and subscriptions, which are named', async () => {
    await boss.schedule('parcel', '0 7 * * *', null, { tz: 'Europe/Lisbon' })
    await boss.schedule('parcel', '0 8 * * *', null, { key: 'late' })
    await boss.subscribe('ordered', 'parcel')
    await boss.publish('ordered', { n: 1 })

    const result = await take()

    expect(result.taken).toMatchObject([{ work: 1 }])
    expect(result.schedules).toEqual([
      { name: 'parcel', key: '', cron: '0 7 * * *', timeZone: 'Europe/Lisbon' },
      { name: 'parcel', key: 'late', cron: '0 8 * * *', timeZone: 'UTC' },
    ])
    expect(result.subscriptions).toEqual([{ event: 'ordered', name: 'parcel' }])
    const { stdout } = await run()
    expect(stdout).toContain('the schedule "0 7 * * *" in Europe/Lisbon')
    expect(stdout).toContain('its subscription to the event ordered')
  })
})

describe('failed work', () => {
  beforeEach(async () => {
    await boss.createQueue('failed-letters')
    await boss.createQueue('letter', { retryLimit: 1, deadLetter: 'failed-letters' })
  })

  async function failTwice(singletonKey = 'k'): Promise<string> {
    const id = await send('letter', { n: 1 }, { singletonKey })
    for (const _ of [1, 2]) {
      await fetchOne('letter')
      await boss.fail('letter', id, new Error('no stamp'))
    }
    return id
  }

  it('stays, and so do its copies in a dead letter queue', async () => {
    await failTwice()

    const { left } = await take()

    expect(left).toMatchObject([
      { queue: 'failed-letters', reason: 'notChosen', count: 1, deadLettersOf: ['letter'] },
      { queue: 'letter', reason: 'failed', count: 1 },
    ])
    const { stdout } = await run()
    expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
      'It has copies of what failed in letter: --dead-letters takes the originals.',
    )
    expect(await rows(`select from "JobDeadLetter"`)).toEqual([])
  })

  it('becomes dead letters where that is wanted, which can be redriven', async () => {
    const id = await failTwice()

    const dry = await take('--dry-run', '--dead-letters')
    const { taken, left } = await take('--dead-letters')

    expect(taken).toEqual([
      { queue: 'letter', job: 'letter', work: 0, delayed: 0, withoutKey: 0, deadLetters: 1 },
    ])
    expect(dry.taken).toEqual(taken)
    expect(left).toMatchObject([{ queue: 'failed-letters', reason: 'notChosen' }])
    expect(
      await rows(
        `select "id", "name", "attempt", "payload", "uniqueKey", "errorCode", "errorMessage" from "JobDeadLetter"`,
      ),
    ).toEqual([
      {
        id,
        name: 'letter',
        attempt: 2,
        payload: { n: 1 },
        uniqueKey: 'k',
        errorCode: 'handler_failed',
        errorMessage: 'no stamp',
      },
    ])
    const client = createJobsClient({ databaseUrl: database.url, schema: 'public' })
    onTestFinished(() => client.stop())
    await client.redriveDeadLetters({ ids: [id] }, { actor: 'test', reason: 'test' })
    expect(await work()).toEqual([{ n: 1 }])
    expect(await listRuns()).toEqual([{ id, attempt: 3, status: 'success' }])
  })
})

describe('it refuses', () => {
  it('while workers of pg-boss work on what it would take, until they have stopped', async () => {
    await boss.createQueue('letter')
    await send('parcel', { n: 1 })
    const worker = await openBoss({ instanceHeartbeatSeconds: 1, instanceName: 'shop' })
    onTestFinished(() => worker.stop({ graceful: false }))
    await worker.work('letter', async () => undefined)
    await waitFor(
      async () => (await rows(`select from pgboss.instance where workers <> '[]'`)).length === 1,
    )

    // Of another queue.
    expect((await take('--queue', 'parcel')).taken).toMatchObject([{ work: 1 }])
    await send('letter', { n: 2 }, { startAfter: 3_600 })
    const refused = await run()
    const dry = await take('--dry-run')

    expect(refused).toMatchObject({ code: 1, stdout: '' })
    expect(refused.stderr).toMatch(/shop \(pid \d+\) works on letter/)
    expect(dry.taken).toMatchObject([{ queue: 'letter', work: 1 }])
    expect(dry.workers).toMatchObject([{ queue: 'letter' }])
    expect(await countStates('letter')).toEqual({ created: 1 })
    await worker.stop()
    expect((await take()).taken).toMatchObject([{ queue: 'letter', work: 1 }])
  })

  it('another version of pg-boss, and says what to do', async () => {
    await send('parcel', { n: 1 })
    await pool.query('update pgboss.version set version = 26')
    const older = await run()
    await pool.query('update pgboss.version set version = 50')
    const newer = await run('--dry-run')

    expect(older).toMatchObject({ code: 1, stdout: '' })
    expect(older.stderr).toContain('have its version 26')
    expect(older.stderr).toContain('Update pg-boss to 12.38')
    expect(newer).toMatchObject({ code: 1, stdout: '' })
    expect(newer.stderr).toContain('Update Roundsman')
    expect(await countStates('parcel')).toEqual({ created: 1 })
  })

  it('a schema without pg-boss', async () => {
    const { code, stderr } = await run('--schema', 'elsewhere')

    expect(code).toBe(1)
    expect(stderr).toContain('There is no pg-boss in the schema elsewhere')
  })

  it('a wrong command line', async () => {
    expect(await run('--queue', 'parcle')).toMatchObject({ code: 2 })
    const misspelt = await run('--queue', 'parcel=leter')
    expect(misspelt).toMatchObject({ code: 2 })
    expect(misspelt.stderr).toContain('did you mean letter?')
    expect(await run('--queue', 'parcel', '--all')).toMatchObject({ code: 2 })
    const output = collectOutput()
    expect(await exitCodeOf(command, ['bull'], { variables: {}, ...output })).toBe(2)
  })
})

describe('run again', () => {
  it('changes nothing, and takes what has come meanwhile', async () => {
    await send('parcel', { n: 1 })
    await take()
    const before = await rows(`select * from "JobWork"`)

    const second = await take()

    expect(second.taken).toEqual([])
    expect((await run()).stdout).toBe('There is nothing to take over.\n')
    expect(await rows(`select * from "JobWork"`)).toEqual(before)
    await send('parcel', { n: 2 })
    expect((await take()).taken).toMatchObject([{ work: 1 }])
    expect(await work()).toEqual([{ n: 1 }, { n: 2 }])
  })

  it('with --dry-run, changes nothing and counts what it would do', async () => {
    await send('parcel', { n: 1 })
    await send('parcel', { n: 2 }, { startAfter: 3_600 })

    const dry = await take('--dry-run')

    expect(dry).toMatchObject({ isDryRun: true, taken: [{ work: 2, delayed: 1 }] })
    expect((await run('--dry-run')).stdout).toBe(
      'Would be taken over:\n  parcel: 2 (1 for later)\n',
    )
    expect(await countStates('parcel')).toEqual({ created: 2 })
    expect(await listWork()).toEqual([])
    expect((await run()).stdout).toBe('Taken over:\n  parcel: 2 (1 for later)\n')
  })

  it('beside imports, producers and fetches at once, takes each piece once', async () => {
    const insert = (from: number) =>
      boss.insert(
        'parcel',
        Array.from({ length: 200 }, (_, nth) => ({ data: { n: from + nth } })),
      )
    await insert(0)
    const fetched = Promise.all(
      [1, 2, 3].map(async () => await boss.fetch<{ n: number }>('parcel', { batchSize: 20 })),
    )
    const [first, second] = await Promise.all([take(), take(), insert(200)])
    const fetchedTogether = (await fetched).flat()
    const last = await take()

    const active = fetchedTogether.map(({ data }) => data.n)
    const moved = (await listWork()).map(({ payload }) => (payload as { n: number }).n)
    const counted = [first, second, last].flatMap(({ taken }) => taken.map((one) => one.work))
    expect(counted.reduce((sum, one) => sum + one, 0)).toBe(moved.length)
    expect(active.length).toBeGreaterThan(0)
    expect([...active, ...moved].toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 400 }, (_, n) => n),
    )
  })
})
