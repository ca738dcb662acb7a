// Not quick: hundreds of states, each asked several times.
import fc from 'fast-check'
import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { explainWork, WAIT_REASONS, type WaitReason } from '../../src/read/explainWork.ts'
import { listKeys } from '../../src/read/listKeys.ts'
import { listLimits } from '../../src/read/listLimits.ts'
import { claimUnderLimits } from '../../src/queue/claimUnderLimits.ts'
import { ClaimConflict, claimWork } from '../../src/queue/claimWork.ts'
import type { Taken } from '../../src/queue/taken.ts'
import type { Connection } from '../../src/database/database.ts'
import { giveEmptyKeys, readRules } from '../../src/queue/limitSql.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { PLACE_SQL } from '../../src/queue/place.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { claimRequest } from '../claimRequest.ts'

/*
 * What explain, the list of limits and that of keys say, against what claims do and what plain SQL finds, in states that a
 * generator draws.
 */

const sync = defineJob({ name: 'sync', retry: { limit: 0 } })
const by = { actor: 'admin@example.com', reason: 'as a test' }
const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [sync]))

const KEYS = ['a', 'b', ''] as const
const key = fc.constantFrom(...KEYS)
const most = fc.option(fc.integer({ min: 1, max: 3 }))
/** In seconds from now. */
const until = fc.constantFrom(3_600, -2)
const rate = fc.option(
  fc.record({ limit: fc.constantFrom(1, 20, 40), by: fc.constantFrom('job', 'key') }),
  { freq: 2 },
)
const ahead = fc.constantFrom(-10, 1, 4, 3_600)
const state = fc.record({
  own: fc.record({
    global: most,
    setGlobal: most,
    perKey: most,
    order: fc.constantFrom('fair', 'fair', 'fifo', 'fifo', null),
    rate,
  }),
  /** Null: the job shares none. */
  shared: fc.option(fc.record({ global: most, setGlobal: most, rate })),
  keys: fc.uniqueArray(
    fc.record({
      key,
      perKey: most,
      isPaused: fc.boolean(),
      isOver: fc.boolean(),
    }),
    { selector: (one) => one.key, maxLength: 2 },
  ),
  parks: fc.uniqueArray(
    fc.record({
      /** A limit, or a key. */
      at: fc.constantFrom('job:sync', 'crm', 'a', 'b', ''),
      until,
    }),
    { selector: ({ at }) => at, maxLength: 2 },
  ),
  ahead: fc.record({ sync: fc.option(ahead), crm: fc.option(ahead), key: fc.option(ahead) }),
  runs: fc.array(
    fc.record({
      name: fc.constantFrom('sync', 'sync', 'other'),
      key,
      worker: fc.constantFrom('w1', 'w9'),
      /** `unwritten`: no row of JobRun. Of an ended one the claim says nothing of note. */
      is: fc.constantFrom('unwritten', 'running', 'ended'),
    }),
    { maxLength: 4 },
  ),
  pieces: fc.array(
    fc.record({
      key: fc.option(key, { freq: 8 }),
      is: fc.constantFrom('ready', 'ready', 'ready', 'due', 'later', 'retry', 'suspect', 'letter'),
      rank: fc.constantFrom(0, 0, 0, -1),
      needs: fc.constantFrom(0, 0, 0, 0, 0, 1),
      isDry: fc.constantFrom(false, false, false, true),
    }),
    { minLength: 1, maxLength: 6 },
  ),
  isPaused: fc.constantFrom(false, false, false, true),
  /** Null: it does not take the job. */
  slots: fc.constantFrom(9, 9, 9, 1, null),
  isExclusive: fc.constantFrom(false, false, true),
  isExcluded: fc.boolean(),
  /** Which of several reasons is lifted first. */
  turn: fc.nat({ max: 99 }),
})
type State = typeof state extends fc.Arbitrary<infer Drawn> ? Drawn : never

const RUNS = Number(process.env['EXPLAIN_STATES'] ?? 15)

it(
  'says that nothing is in the way of what a claim takes, and of nothing else',
  { timeout: 600_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(state, async (drawn) => {
        await make(drawn)
        expect(await listedLimits()).toEqual(await countedLimits())
        expect(
          (await listKeys(runtime.reader, sync)).keys.map(({ key: of }) => of).toSorted(),
        ).toEqual((await countedKeys()).map(({ key: of }) => of))
        expect(await listedKeys()).toEqual(await countedKeys())
        for (const id of await waitingIds()) await liftAll(id, drawn)
      }),
      { numRuns: RUNS, endOnFailure: process.env['EXPLAIN_STATES'] === undefined },
    )
    await runtime.clear('JobLimit')
  },
)

/** Lifts what explain names, one after the other: it is gone then, nothing else has come, and at last the piece is taken. */
async function liftAll(id: string, drawn: State): Promise<void> {
  await make(drawn)
  let turn = drawn.turn
  for (let left: WaitReason[] | null = null; ;) {
    const reasons: WaitReason[] = (await explainWork(runtime.reader, id))?.reasons ?? []
    for (const reason of reasons) await expectHolders(reason)
    expect((left ?? reasons).map(toTold)).toEqual(expect.arrayContaining(reasons.map(toTold)))
    const kinds = reasons.map(({ kind }) => WAIT_REASONS.indexOf(kind))
    expect(kinds).toEqual(kinds.toSorted((one, other) => one - other))
    const barred = reasons.filter(({ kind }) => kind !== 'alone')
    expect({
      id,
      barred: barred.map(({ text }) => text),
      isTaken: await isTaken(id, drawn),
    }).toEqual({
      id,
      barred: barred.map(({ text }) => text),
      isTaken: barred.length === 0,
    })
    const lifted = barred[turn++ % barred.length]
    if (lifted === undefined) return
    await lift(id, lifted)
    left = reasons.filter((one) => one !== lifted)
    if (lifted.kind === 'keyHead') left.push(lifted)
  }
}

/** A number in a text may fall meanwhile; and behind the head of a key another may be. */
const toTold = ({ kind, text }: WaitReason) =>
  kind === 'behind' || kind === 'keyHead' ? kind : `${kind}: ${text}`

async function make(drawn: State): Promise<void> {
  await runtime.clear('JobLimit', 'JobKey', 'JobThrottle', 'JobQueue')
  const { own, shared, ahead: far } = drawn
  const limits = [
    { ...own, name: 'job:sync', jobs: null },
    ...(shared === null ? [] : [{ ...shared, name: 'crm', jobs: ['sync', 'other'] }]),
  ].map(({ rate: of, ...one }) => ({
    ...one,
    rateLimit: of?.limit,
    ratePerMs: of && 60_000,
    rateBy: one.name === 'crm' || own.order === null ? of && 'job' : of?.by,
  }))
  await runtime.rows(
    `insert into "JobLimit" ("name", "global", "setGlobal", "perKey", "order", "rateLimit", "ratePerMs", "rateBy", "jobs")
     select one."name", one."global", one."setGlobal", case when one."order" is not null then one."perKey" end, one."order", one."rateLimit", one."ratePerMs", one."rateBy", one."jobs"
     from jsonb_to_recordset($1::jsonb) one("name" text, "global" int, "setGlobal" int, "perKey" int, "order" text,
       "rateLimit" int, "ratePerMs" bigint, "rateBy" text, "jobs" text[])`,
    [JSON.stringify(limits)],
  )
  await runtime.rows(
    `insert into "JobKey" ("name", "key", "perKey", "pausedUntil", "pausedBy", "setAt")
     select 'sync', "key", "perKey", case when "isPaused" then case when "isOver" then now() - interval '1 s' else 'infinity' end end, 'me', now()
     from jsonb_to_recordset($1::jsonb) one("key" text, "perKey" int, "isPaused" bool, "isOver" bool)
     where "perKey" is not null or "isPaused"`,
    [JSON.stringify(drawn.keys)],
  )
  for (const { at, until: seconds } of drawn.parks)
    await runtime.rows(
      at === 'job:sync' || at === 'crm'
        ? `update "JobLimit" set "parkedUntil" = now() + $2 * interval '1 second' where "name" = $1`
        : `insert into "JobKey" ("name", "key", "parkedUntil") values ('sync', $1, now() + $2 * interval '1 second')
           on conflict ("name", "key") do update set "parkedUntil" = excluded."parkedUntil"`,
      [at, seconds],
    )
  await runtime.rows(
    `insert into "JobThrottle" ("name", "freeAt") select "name", now() + "ahead" * interval '1 second'
     from (values ('sync', $1::float8), ('limit crm', $2::float8)) one("name", "ahead") where "ahead" is not null`,
    [far.sync, far.crm],
  )
  if (far.key !== null)
    await runtime.rows(
      `insert into "JobKey" ("name", "key", "freeAt") select 'sync', key, now() + $1::float8 * interval '1 second' from unnest(array['a', '']) key
       on conflict ("name", "key") do update set "freeAt" = excluded."freeAt"`,
      [far.key],
    )
  await runtime.rows(
    `with run as materialized (
       select one.*, gen_random_uuid() as "id" from jsonb_to_recordset($1::jsonb)
         one("name" text, "key" text, "worker" text, "is" text, nth int)
     ), written as (
       insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "endedAt")
       select "id", "name", 'queue', "worker", case "is" when 'ended' then 'success'::"JobRunStatus" else 'running' end, case when "is" = 'ended' then now() end
       from run where "is" <> 'unwritten'
     )
     insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "keys", "enqueuedAts", "limits", "place")
     select gen_random_uuid(), "name", "worker", now() - nth * interval '1 second', 'infinity', array["id"],
       array[case when $2::boolean then "key" end], array[now()],
       case when "name" = 'sync' then $3::text[] when $4::boolean then '{crm}' end, nextval('"JobPlace"') from run`,
    [
      JSON.stringify(drawn.runs.map((one, nth) => ({ ...one, nth }))),
      own.order !== null,
      ['job:sync', ...(shared === null ? [] : ['crm'])],
      shared !== null,
    ],
  )
  await runtime.rows(
    `with piece as materialized (
       select one.*, ('00000000-0000-7000-8000-' || lpad(nth::text, 12, '0'))::uuid as "id" from jsonb_to_recordset($1::jsonb)
         one("key" text, "is" text, "rank" int, "needs" int, "isDry" bool, nth int)
     ), letter as (
       insert into "JobDeadLetter" ("id", "name", "key", "bytes", "errorCode", "errorMessage")
       select "id", 'sync', "key", 2, 'broken', '' from piece where "is" = 'letter'
     )
     insert into "JobWork" ("id", "name", "key", "rank", "needs", "losses", "attempt", "bytes", "payload", "facts", "place", "dueAt", "enqueuedAt")
     select "id", 'sync', "key", "rank", "needs", case when "is" = 'suspect' then 2 else 0 end, case when "is" = 'retry' then 2 else 1 end, 2, '{}',
       case when "isDry" then '{"dryRun": true}'::jsonb end,
       case when "is" in ('ready', 'suspect') then ${PLACE_SQL} end,
       now() + case when "is" in ('later', 'retry') then 3600 else -1 end * interval '1 second', now() - nth * interval '1 minute'
     from piece where "is" <> 'letter' order by nth`,
    [
      JSON.stringify(
        // Only jobs with keys have them, but for work from before.
        drawn.pieces.map((one, nth) => ({
          ...one,
          nth,
          ...(own.order === null && one.rank === 0 && { key: null }),
        })),
      ),
    ],
  )
  if (drawn.isPaused) await queue.client.pauseQueue('sync', by)
  await runtime.rows(`update "JobWorker" set "lanes" = $1::jsonb where "id" = 'w1'`, [
    JSON.stringify(drawn.slots === null ? {} : { sync: drawn.slots }),
  ])
  if (drawn.isExclusive && drawn.isExcluded) {
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'sync', 'w9', 'sync', now(), 'infinity', array[gen_random_uuid()], array[now()])`,
    )
  }
}

const waitingIds = () => runtime.column<string>('select "id" from "JobWork" order by "id"')

class Undone extends Error {}

/** Whether a worker that has a slot free takes this piece, when it is the turn of its key. */
async function isTaken(id: string, drawn: State): Promise<boolean> {
  const [slot] = await runtime.rows<{ isFree: boolean }>(`
    select coalesce(("lanes" ->> 'sync')::int, 0) > (
      select count(*) from "JobClaim" claim cross join unnest("runIds") run(id)
      where "workerId" = 'w1' and "name" = 'sync' and not exists (select from "JobRun" ended where ended."id" = run.id and "status" <> 'running')
    ) as "isFree" from "JobWorker" where "id" = 'w1'`)
  if (slot?.isFree !== true) return false
  let isIt = false
  await runtime.database
    .transaction(async (tx) => {
      await placeDue(tx, ['sync'])
      await giveEmptyKeys(tx, ['sync'], null)
      const { rows } = await tx.query<{ key: string | null; losses: number }>(
        'select "key", "losses" from "JobWork" where "id" = $1',
        [id],
      )
      const piece = rows[0]
      isIt = (await claim(tx, piece!, drawn)).some(({ workId }) => workId === id)
      throw new Undone()
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undone || error instanceof ClaimConflict)) throw error
    })
  return isIt
}

async function claim(
  tx: Connection,
  piece: { key: string | null; losses: number },
  { isExclusive }: State,
): Promise<readonly Taken[]> {
  const request = claimRequest('sync', { limit: 1, exclusiveKey: isExclusive ? 'sync' : null })
  const suspects = piece.losses >= 2 ? { isAlone: true } : undefined
  const of = { workerId: 'w1', startedAt: new Date(), suspects }
  const rules = (await readRules(tx, ['sync']))['sync'] ?? null
  if (rules !== null) {
    const hasKeys = rules.order !== null
    // It is the turn of its key.
    if (hasKeys)
      await tx.query('delete from "JobWork" where "losses" >= 2 and "key" is distinct from $1', [
        piece.key,
      ])
    const keys = hasKeys ? [{ key: piece.key ?? '', take: 1, behind: null }] : null
    return (await claimUnderLimits(tx, { ...of, ...rules, request, known: null, keys })).work
  }
  return (await claimWork(tx, { ...of, requests: [request] })).work
}

const underWay = `
  select run."id", claim."name", claim."limits", claim."exclusiveKey", claim."workerId", run."key"
  from "JobClaim" claim cross join unnest("runIds", "keys") run("id", "key")
  where not exists (select from "JobRun" ended where ended."id" = run."id" and ended."status" <> 'running')`

/** Undefined: it is of no key. */
const keyOf = (text: string) =>
  text.includes('work without a key') ? '' : / its key (\w)/.exec(` ${text}`)?.[1]

/** The runs that a reason names are those that hold what it says. */
async function expectHolders({ kind, text, runs }: WaitReason): Promise<void> {
  const where =
    kind === 'limitFull'
      ? `'${/the limit crm/.test(text) ? 'crm' : 'job:sync'}' = any("limits")`
      : kind === 'keyFull'
        ? `"name" = 'sync' and "key" = '${keyOf(text)}'`
        : kind === 'exclusive'
          ? `"exclusiveKey" = 'sync'`
          : kind === 'slotsFull'
            ? `"workerId" = 'w1' and "name" = 'sync'`
            : 'false'
  const holders = await runtime.rows<{ id: string }>(
    `select "id" from (${underWay}) run where ${where}`,
  )
  expect([kind, runs.map(({ runId }) => runId).toSorted()]).toEqual([
    kind,
    holders.map(({ id }) => id).toSorted(),
  ])
}

/** By the act that it names. */
async function lift(id: string, { kind, text, runs }: WaitReason): Promise<void> {
  const { client } = queue
  const ofKey = keyOf(text)
  const own = /the limit crm/.test(text) ? 'crm' : 'job:sync'
  const endRuns = () =>
    runtime.rows(`delete from "JobClaim" where "runIds" && $1::uuid[]`, [
      runs.map(({ runId }) => runId),
    ])
  switch (kind) {
    case 'paused':
      return void (await client.resumeQueue('sync', by))
    case 'noWorker':
    case 'slotsFull':
      return void (await runtime.rows(
        `update "JobWorker" set "lanes" = '{"sync": 99}' where "id" = 'w1'`,
      ))
    case 'needsLater':
      return void (await runtime.rows('update "JobWork" set "needs" = 0 where "id" = $1', [id]))
    case 'delayed':
    case 'retry':
      return void (await client.postponeWork(
        { job: sync, ids: [id] },
        { ...by, startAfter: new Date(0) },
      ))
    case 'keyPaused':
      return void (await client.keys.set(sync, ofKey!, { paused: false }, by))
    case 'parked':
      return void (ofKey !== undefined
        ? await client.keys.set(sync, ofKey, { parked: false }, by)
        : await client.limits.set(
            own === 'crm' ? { limit: { name: own } } : { job: sync },
            { parked: false },
            by,
          ))
    case 'keyHead': {
      const [head] = /[\w-]{36}$/.exec(text) ?? []
      await client.cancelWork({ job: sync, ids: [head!] }, by)
      return void (await client.discardDeadLetters({ ids: [head!] }, by))
    }
    case 'exclusive':
    case 'limitFull':
    case 'keyFull':
      return void (await endRuns())
    case 'noToken':
      return void (await runtime.rows(
        ofKey === undefined
          ? `delete from "JobThrottle" where "name" = '${own === 'crm' ? 'limit crm' : 'sync'}'`
          : `update "JobKey" set "freeAt" = null where "key" = '${ofKey}'`,
      ))
    case 'behind':
      return void (await runtime.rows('delete from "JobWork" where "id" <> $1', [id]))
    case 'alone':
    case 'inDoubt':
    case 'step':
      return
    default:
      kind satisfies never
  }
}

const listedLimits = async () =>
  (await listLimits(runtime.reader)).map(
    ({ name, running, runs, global, setGlobal, parkedUntil }) => ({
      ...{ name, running, global, setGlobal },
      runs: runs.map(({ runId }) => runId),
      isParked: parkedUntil !== null,
    }),
  )
const isParked = `coalesce(one."parkedUntil" > now(), false)`
const countedLimits = () =>
  runtime.rows(`
    with run as (${underWay})
    select case when one."name" = 'crm' then 'crm' else 'sync' end as "name", one."global", one."setGlobal",
           count(run."id")::int as "running",
           coalesce(json_agg(run."id" order by claim."startedAt") filter (where run."id" is not null), '[]') as "runs",
           ${isParked} as "isParked"
    from "JobLimit" one left join run on one."name" = any(run."limits") left join "JobClaim" claim on claim."runIds" @> array[run."id"]
    where coalesce(one."global", one."setGlobal", one."rateLimit") is not null or one."order" is not null
      or ${isParked}
    group by one."name" order by one."name" <> 'crm'`)

const listedKeys = async () =>
  (await listKeys(runtime.reader, sync)).keys
    // Those that only have run within the hour are listed, too.
    .filter(
      ({ waiting, running, deadLetters, setAt, parkedUntil }) =>
        waiting + running + deadLetters > 0 || (setAt ?? parkedUntil) !== null,
    )
    .map(
      ({
        key: of,
        waiting,
        delayed,
        running,
        deadLetters,
        oldestAt,
        perKey,
        paused,
        parkedUntil,
      }) => ({
        ...{ key: of, waiting, delayed, running, deadLetters, perKey },
        oldestAt: oldestAt && new Date(oldestAt),
        isPaused: paused !== null,
        isParked: parkedUntil !== null,
      }),
    )
    .toSorted((x, y) => (x.key < y.key ? -1 : 1))
const countedKeys = () =>
  runtime.rows<{ key: string }>(`
    with run as (${underWay}), known("key") as (
      select "key" from "JobWork" where "name" = 'sync' union select "key" from run where "name" = 'sync'
      union select "key" from "JobDeadLetter" union select "key" from "JobKey" where "setAt" is not null or "parkedUntil" > now()
    )
    select known."key", (select count(*)::int from "JobWork" work where work."key" = known."key") as "waiting",
           (select count(*)::int from "JobWork" work where work."key" = known."key" and "place" is null and "dueAt" > now()) as "delayed",
           (select count(*)::int from run where run."key" = known."key" and run."name" = 'sync') as "running",
           (select count(*)::int from "JobDeadLetter" letter where letter."key" = known."key") as "deadLetters",
           own."perKey",
           (select min("enqueuedAt") from "JobWork" work where work."key" = known."key") as "oldestAt",
           coalesce(own."pausedUntil" > now(), false) as "isPaused",
           coalesce(own."parkedUntil" > now(), false) as "isParked"
    from known left join "JobKey" own on own."key" = known."key" where known."key" is not null order by known."key" collate "C"`)
