// Not quick: claims beside each other.
import { openForTests, waitFor } from '@roundsman/testing'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/index.ts'
import {
  claimUnderLimits,
  findKeys,
  type AskedKey,
  type KnownClaims,
} from '../../src/queue/claimUnderLimits.ts'
import { lockLimits, readRules, type JobRules } from '../../src/queue/limitSql.ts'
import type { Connection } from '../../src/database/database.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { claimRequest } from '../claimRequest.ts'
import { untilInTime } from '../untilInTime.ts'

const sync = defineJob({ name: 'sync' })
const runtime = useTestRuntime()
openForTests(() => openTestQueue(runtime, [sync]))

afterEach(() => runtime.clear('JobLimit', 'JobKey', 'JobThrottle'))

const insert = (count: number, key: string | null = null) =>
  runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "payload", "key")
     select gen_random_uuid(), 'sync', 2, '{}', $2 from generate_series(1, $1) n`,
    [count, key],
  )

interface Take {
  limit?: number
  known?: KnownClaims | null
  keys?: readonly AskedKey[] | null
  suspects?: { isAlone: boolean }
  /** Default: as the rows are. */
  rules?: JobRules
}

const rulesOf = async (connection: Connection) =>
  (await readRules(connection, ['sync']))['sync'] as JobRules
const take = async (connection: Connection, options: Take = {}) =>
  await claimUnderLimits(connection, {
    workerId: 'w1',
    startedAt: new Date(),
    ...(options.rules ?? (await rulesOf(connection))),
    known: options.known ?? null,
    keys: options.keys ?? null,
    suspects: options.suspects,
    request: claimRequest('sync', options),
  })

describe('a run by hand', () => {
  it('waits for the claim beside it, and is refused when that has filled the limit', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "global") values ('job:sync', 1)`)
    await insert(1)
    let second: ReturnType<typeof lockLimits> | undefined
    await runtime.database.transaction(async (tx) => {
      expect((await take(tx)).work).toHaveLength(1)
      second = runtime.database.transaction(async (other) => await lockLimits(other, 'sync', null))
      await waitFor(() => countLockWaits(runtime))
    })
    expect(await second).toEqual({ name: 'sync', key: null })
  })
})

describe('a claim by keys in order of age', () => {
  it('does not take a head under its old key, whose key was replaced after the limit was counted', async () => {
    // A function that waits between counting and taking, as a busy machine does.
    await runtime.rows(`
      alter function "JobLimitState"(text[], text, text[], text, bigint, bigint[], text) rename to "JobLimitStateNow";
      create function "JobLimitState"(text[], text, text[], text, bigint, bigint[], text)
      returns table ("limit" text, "key" text, "free" int, "openAt" timestamptz, "startMs" float8, "from" timestamptz, "head" uuid,
        "server" text, "seen" bigint, "living" bigint[])
      language plpgsql as $$ begin
        return query select * from "JobLimitStateNow"($1, $2, $3, $4, $5, $6, $7);
        perform pg_advisory_xact_lock_shared(77);
      end $$`)
    onTestFinished(async () => {
      await runtime.rows(`
        drop function "JobLimitState"(text[], text, text[], text, bigint, bigint[], text);
        alter function "JobLimitStateNow"(text[], text, text[], text, bigint, bigint[], text) rename to "JobLimitState"`)
    })
    await untilInTime(async () => {
      await runtime.clear('JobLimit')
      await runtime.rows(`insert into "JobLimit" ("name", "order") values ('job:sync', 'fifo')`)
      await insert(1, 'a')
      let claimed: ReturnType<typeof take> | undefined
      await runtime.database.transaction(async (tx) => {
        await tx.query('select pg_advisory_xact_lock(77)')
        claimed = take(runtime.database, { keys: [{ key: 'a', take: 1, behind: null }] })
        claimed.catch(() => undefined)
        await waitFor(() => countLockWaits(runtime))
        await runtime.rows(`update "JobWork" set "key" = 'b'`)
      })
      expect((await claimed)?.work).toEqual([])
      const { work } = await take(runtime.database, { keys: [{ key: 'b', take: 1, behind: null }] })
      expect(work).toHaveLength(1)
    })
  })
})

describe('a claim under a limit', () => {
  it('that waits for another one sees what that has taken', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "global") values ('job:sync', 3)`)
    await insert(10)
    let second: ReturnType<typeof take> | undefined
    await runtime.database.transaction(async (tx) => {
      expect((await take(tx, { limit: 2 })).work).toHaveLength(2)
      second = take(runtime.database, { limit: 2 })
      await waitFor(() => countLockWaits(runtime))
    })
    const { work, state } = await second!
    expect(work).toHaveLength(1)
    expect(state).toMatchObject({ free: 1, keys: {} })
    expect((await take(runtime.database)).work).toHaveLength(0)
  })

  it('counts claims whose places a crash of the server has let the sequence give again', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "global") values ('job:sync', 3)`)
    await insert(10)
    await take(runtime.database, { limit: 1 })
    const [place] = await runtime.rows<{ at: string }>('select last_value as at from "JobPlace"')
    // Of work whose transactions the crash has undone.
    await runtime.rows(`select nextval('"JobPlace"') from generate_series(1, 100)`)
    const before = await take(runtime.database, { limit: 0 })
    await runtime.rows(`select setval('"JobPlace"', $1::bigint)`, [place?.at])
    expect((await take(runtime.database, { limit: 1 })).work).toHaveLength(1)
    const { known } = before.state!
    expect((await take(runtime.database, { known })).work).toHaveLength(1)
  })

  it('reads no more of the claims before its own, but those of which runs go on', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "global") values ('job:sync', 9)`)
    await insert(3)
    const first = await take(runtime.database, { limit: 1 })
    const second = await take(runtime.database, { limit: 1, known: first.state!.known })
    const places = await runtime.rows<{ place: string }>(
      'select "place"::text from "JobClaim" order by "place"',
    )
    const [one, two] = places.map(({ place }) => place)
    expect(second.state!.known).toMatchObject({ seen: two, living: [one, two] })
    await runtime.rows('delete from "JobClaim"')
    const { known } = (await take(runtime.database, { limit: 0, known: second.state!.known }))
      .state!
    expect(known).toMatchObject({ seen: two, living: [] })
  })

  it('counts by key', async () => {
    await runtime.rows(
      `insert into "JobLimit" ("name", "perKey", "order") values ('job:sync', 2, 'fair')`,
    )
    await insert(5, 'a')
    await insert(1, 'b')
    await insert(3, '')
    const keys = ['a', 'b', '', 'c'].map((key) => ({ key, take: 9, behind: null }))
    const { work, state } = await take(runtime.database, { keys })
    expect(work.map(({ key }) => key)).toEqual(['a', 'a', 'b', '', ''])
    expect(state?.keys).toEqual({
      '': [2, null, null],
      a: [2, null, null],
      b: [2, null, null],
      c: [2, null, null],
    })
    const again = await take(runtime.database, { keys, known: state!.known })
    expect(again.work).toEqual([])
    expect(again.state?.keys).toEqual({
      '': [0, null, null],
      a: [0, null, null],
      b: [1, null, null],
      c: [2, null, null],
    })
  })

  it('says nothing of keys that no number limits, whatever customers call them', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "order") values ('job:sync', 'fair')`)
    const names = ['constructor', '__proto__', 'a']
    for (const name of names) await insert(1, name)
    const keys = names.map((key) => ({ key, take: 1, behind: null }))
    const { work, state } = await take(runtime.database, { keys })
    expect(work.map(({ key }) => key)).toEqual(names)
    expect(names.map((name) => state?.keys[name])).toEqual([undefined, undefined, undefined])
  })

  it('takes one piece of a key at a time in the order of their ids, and none past one that waits or was given up', async () => {
    await limit(`"order" = 'fifo'`)
    const [first, second, third] = ids(3)
    await insertOne(second, 'a')
    await insertOne(third, 'a')
    await insertOne(first, 'a', "now() + interval '1 hour'")
    const start = async () => {
      const { work } = await take(runtime.database, { keys: asked('a', '') })
      for (const { claim } of work)
        await runtime.rows('delete from "JobClaim" where "id" = $1', [claim.id])
      return work.map(({ workId }) => workId)
    }
    expect(await start()).toEqual([])
    await runtime.rows(`update "JobWork" set "place" = 0 where "id" = $1`, [first])
    await insert(2, '')
    expect(await start()).toHaveLength(3)
    await runtime.rows(
      `insert into "JobDeadLetter" ("id", "name", "key", "bytes", "errorCode", "errorMessage") values ($1, 'sync', 'a', 2, 'x', 'x')`,
      [first],
    )
    expect(await start()).toEqual([])
    await runtime.rows('delete from "JobDeadLetter"')
    expect(await start()).toEqual([second])
    expect(await start()).toEqual([third])
  })

  it('leaves alone what people have paused, and gives a key the number that they have set', async () => {
    await limit(`"perKey" = 1, "order" = 'fair'`)
    await runtime.rows(`insert into "JobKey" ("name", "key", "perKey", "pausedUntil") values
      ('sync', 'large', 3, null), ('sync', 'still', null, 'infinity'), ('sync', 'over', null, now() - interval '1 s')`)
    for (const key of ['large', 'still', 'over']) await insert(5, key)
    const { work, state } = await take(runtime.database, { keys: asked('still', 'large', 'over') })
    expect(work.map(({ key }) => key)).toEqual(['large', 'large', 'large', 'over'])
    expect(state?.keys['still']).toEqual([0, expect.closeTo(86_400_000, -5), null])
    const found = await findKeys(runtime.database, 'sync', null, 10)
    expect(found.map(({ key, openInMs }) => [key, openInMs === null])).toEqual([
      ['large', true],
      ['over', true],
      ['still', false],
    ])
  })

  it('finds the keys of its own job that have work to take, step by step', async () => {
    for (const key of ['b', 'a', 'c', '0 alone', '0 later']) await insert(3, key)
    await runtime.rows(`update "JobWork" set "losses" = 2 where "key" = '0 alone'`)
    await runtime.rows(`update "JobWork" set "place" = null where "key" = '0 later'`)
    await runtime.rows(`insert into "JobWork" ("id", "name", "bytes", "payload", "key")
      values (gen_random_uuid(), 'another', 2, '{}', '0')`)
    const find = async (after: string | null, most: number) =>
      (await findKeys(runtime.database, 'sync', after, most)).map(({ key }) => key)
    expect(await find(null, 10)).toEqual(['a', 'b', 'c'])
    expect(await find(null, 2)).toEqual(['a', 'b'])
    expect(await find('b', 2)).toEqual(['c'])
    expect(await find('c', 2)).toEqual([])
    await insert(1, '')
    expect(await find(null, 2)).toEqual(['', 'a'])
    expect(await find('', 2)).toEqual(['a', 'b'])
  })

  it('of work that runs alone finds that of a key with room, however much waits of others before it', async () => {
    await limit(`"perKey" = 1, "order" = 'fair'`)
    await insert(1, 'full')
    await take(runtime.database, { keys: asked('full') })
    await insert(150, 'full')
    await insert(1, 'free')
    await runtime.rows('update "JobWork" set "losses" = 2')
    const { work } = await take(runtime.database, { limit: 1, suspects: { isAlone: true } })
    expect(work.map(({ key }) => key)).toEqual(['free'])
  })

  it('starts nothing that a service has refused, and all of it from then on', async () => {
    await limit(`"order" = 'fair'`)
    for (const key of ['parked', 'over', '']) await insert(5, key)
    await runtime.rows(`insert into "JobKey" ("name", "key", "parkedUntil") values
      ('sync', 'parked', now() + interval '1 hour'), ('sync', 'over', now()), ('sync', '', now() + interval '1 hour')`)
    const keys = asked('parked', 'over', '')
    const { work, state } = await take(runtime.database, { keys })
    expect(work.map(({ key }) => key)).toEqual(Array.from({ length: 5 }, () => 'over'))
    expect(state?.keys).toEqual({
      parked: [0, expect.closeTo(3_600_000, -5), null],
      '': [0, expect.closeTo(3_600_000, -5), null],
    })
    await runtime.rows(`update "JobLimit" set "parkedUntil" = now() + interval '1 hour'`)
    expect((await take(runtime.database, { keys: asked('over') })).state).toMatchObject({ free: 0 })
  })

  it('takes nothing where the job has come under others, or its keys have another order', async () => {
    await limit(`"order" = 'fair'`)
    await insert(1, 'a')
    const rules = await rulesOf(runtime.database)
    const start = async () => await take(runtime.database, { rules, keys: asked('a') })
    await limit(`"order" = 'fifo'`)
    expect(await start()).toMatchObject({ work: [], state: null, isAlive: true })
    await limit(`"order" = 'fair'`)
    await runtime.rows(`insert into "JobLimit" ("name", "jobs") values ('crm', '{sync}')`)
    expect(await start()).toMatchObject({ work: [], state: null })
    await runtime.rows(`delete from "JobLimit" where "name" = 'crm'`)
    expect((await start()).work).toHaveLength(1)
  })

  it('keeps each key to its own rate', async () => {
    await limit(`"order" = 'fair', "rateLimit" = 20, "ratePerMs" = 60000, "rateBy" = 'key'`)
    for (const key of ['a', 'b', '']) await insert(5, key)
    const keys = asked('a', 'b', '')
    const { work } = await take(runtime.database, { keys, limit: 100 })
    expect(work.map(({ key }) => key)).toEqual(['a', 'a', 'b', 'b', '', ''])
    const { state } = await take(runtime.database, { keys })
    expect(state?.keys).toEqual({
      '': [0, expect.closeTo(3_000, -4), 3_000],
      a: [0, expect.closeTo(3_000, -4), 3_000],
      b: [0, expect.closeTo(3_000, -4), 3_000],
    })
    const found = await findKeys(runtime.database, 'sync', null, 10)
    expect(found).toMatchObject([
      { key: '', openInMs: expect.closeTo(3_000, -4) },
      { key: 'a', openInMs: expect.closeTo(3_000, -4) },
      { key: 'b', openInMs: expect.closeTo(3_000, -4) },
    ])
  })

  it('keeps the jobs that share a rate to it together', async () => {
    await runtime.rows(
      `insert into "JobLimit" ("name", "rateLimit", "ratePerMs", "rateBy", "jobs") values ('mail', 20, 60000, 'job', '{sync}')`,
    )
    await insert(5)
    expect((await take(runtime.database)).work).toHaveLength(2)
    const { work, state } = await take(runtime.database)
    expect([work.length, state?.free, state?.isRated]).toEqual([0, 0, true])
    expect(state?.openInMs).toBeGreaterThan(0)
  })

  it('is seen to be exceeded by claims made since it was set, and by no others', async () => {
    await limit(`"global" = 2, "perKey" = 1, "order" = 'fair'`)
    const place = (of: string) => runtime.rows(`update "JobLimit" set "changedPlace" = ${of}`)
    await runtime.rows(`insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "keys", "enqueuedAts", "limits", "place")
      select gen_random_uuid(), 'sync', 'w1', now(), 'infinity', array[gen_random_uuid(), gen_random_uuid()], array['a', key],
        array[now(), now()], '{job:sync}', 100 + n from (values (1, 'a'), (2, ''), (3, '')) claim(n, key)`)
    const violations = async () =>
      await runtime.rows('select * from "JobLimitViolation" order by "key"')
    await place('102')
    const all = { name: 'job:sync', key: null, most: 2, running: 6 }
    const ofKey = { name: 'job:sync', key: 'a', most: 1, running: 4 }
    expect(await violations()).toEqual([{ ...ofKey, key: '', running: 2 }, ofKey, all])
    await runtime.rows(
      `insert into "JobKey" ("name", "key", "perKey") values ('sync', 'a', 4), ('sync', '', 2)`,
    )
    await runtime.rows(`update "JobLimit" set "setGlobal" = 5`)
    expect(await violations()).toEqual([{ ...all, most: 5 }])
    await place('103')
    expect(await violations()).toEqual([])
    await place('0')
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt")
       select "runIds"[2], 'sync', 'queue', 'w1', 'success', now() from "JobClaim"`,
    )
    expect(await violations()).toEqual([])
  })

  it('believes nothing that it knew of another server', async () => {
    await limit(`"global" = 2`)
    await insert(5)
    const { state } = await take(runtime.database, { limit: 1 })
    const known = { ...state!.known, seen: '9000000000', living: [] }
    expect((await take(runtime.database, { known })).work).toHaveLength(2)
    expect(
      (await take(runtime.database, { known: { ...known, server: 'another' } })).state?.free,
    ).toBeLessThan(0)
  })
})

const limit = (set: string) =>
  runtime
    .rows(`insert into "JobLimit" ("name") values ('job:sync') on conflict do nothing`)
    .then(() => runtime.rows(`update "JobLimit" set ${set} where "name" = 'job:sync'`))
const ids = (count: number) =>
  Array.from({ length: count }, () => crypto.randomUUID()).toSorted() as [string, string, string]
const asked = (...keys: string[]): AskedKey[] => keys.map((key) => ({ key, take: 9, behind: null }))
const insertOne = (id: string, key: string, due = 'now()') =>
  runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "payload", "key", "dueAt", "place")
     select $1, 'sync', 2, '{}', $2, ${due}, case when ${due} <= now() then nextval('"JobPlace"') end`,
    [id, key],
  )
