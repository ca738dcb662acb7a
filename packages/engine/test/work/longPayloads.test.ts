// Not quick: lets changes meet in many orders.
import { waitFor } from '@roundsman/testing'
import fc from 'fast-check'
import pg from 'pg'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { runOnce } from '../../src/worker.ts'
import { defineJob, defineLimit, type EnqueueOptions } from '../../src/index.ts'
import { endRuns, type Next } from '../../src/queue/endRuns.ts'
import { findWorkOfClaims, readBesideClaim } from '../../src/queue/claimWork.ts'
import type { Taken } from '../../src/queue/taken.ts'
import { dropOrphanedPayloads } from '../../src/queue/orphanedPayloads.ts'
import { tryUntilFree } from '../../src/database/waitForLocks.ts'
import { createClaimer, type Claimer } from '../../src/work/claimer.ts'
import { claimRequest } from '../claimRequest.ts'
import { interceptQueries, textOf } from '../interceptQueries.ts'
import { toEnd } from '../openTestQueue.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { untilInTime, whileClaimWaits } from '../untilInTime.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { useSession } from '../useSession.ts'

const schema = z.strictObject({ n: z.number(), text: z.string() })
type Payload = z.infer<typeof schema>
const plain = defineJob({ name: 'plain', payload: schema, retry: { limit: 0 } })
const limited = defineJob({
  name: 'limited',
  payload: schema,
  limits: [defineLimit({ name: 'shared', global: 100 })],
})
const BY = { actor: 'ann@example.com', reason: 'why' }
const AGAIN = { kind: 'again', delayMs: 0 } as const
const LONG = 'x'.repeat(2_000)
const REPLACES = { uniqueKey: 'k', onConflict: 'replace' } as const

const { runtime, client } = useClientRuntime({ cleared: ['JobLimit', 'JobQueue'] })
useSession(runtime)
useSession(runtime, 'w2')

const enqueue = (job: typeof plain | typeof limited, payload: Payload, options?: EnqueueOptions) =>
  client.enqueueNow(job, payload, options)
const payloadOf = ({ payload }: Taken) => payload as Payload
const payloadIds = () => runtime.column<string>('select "id" from "JobPayload" order by 1')
/** The payloads that anything names. */
const namedIds = () =>
  runtime.column<string>(
    `select "payloadId" from (
       select "payloadId" from "JobWork" union select "payloadId" from "JobDeadLetter" union select "payloadId" from "JobRun"
       union select held.id from "JobClaim" claim cross join unnest("runIds", "payloadIds") as held(run, id)
         where not exists (select from "JobRun" where "id" = held.run and "status" <> 'running')
     ) named where "payloadId" is not null order by 1`,
  )

async function openClaimer(workerId = 'w1', database = runtime.database): Promise<Claimer> {
  const limits = await registeredLimits(runtime, [limited])
  return createClaimer({ database, workerId, now: () => new Date(), limits })
}

async function end(workerId: string, taken: Taken, next: Next, code = 'broken') {
  const error = next.kind === 'done' ? null : { code, message: '' }
  const details = JSON.stringify({ guard: { due: 1 } })
  const of = toEnd(taken, { isPlain: false, error, details, next })
  await tryUntilFree(() => endRuns(runtime.database, workerId, [of], [taken.claim.id]))
}

describe('a claim that waits while its work is replaced', () => {
  it.each([
    ['a long payload by another', LONG, `${LONG}2`],
    ['a long payload by a short one', LONG, 'short'],
    ['a short payload by a long one', 'short', LONG],
  ])('takes the newest payload: %s', async (_, before, after) => {
    await untilInTime(async () => {
      await runtime.clear()
      const claimer = await openClaimer()
      await enqueue(limited, { n: 1, text: before }, REPLACES)
      const { work } = await whileClaimWaits(
        runtime,
        () => claimer.claim(limited, 10),
        () => enqueue(limited, { n: 2, text: after }, REPLACES),
      )
      const taken = work.map(payloadOf).map(({ n, text }) => [n, text.length])
      expect(taken).toEqual([[2, after.length]])
    })
  })

  it('calls no handler for work whose key newer work has taken meanwhile', async () => {
    const late = new pg.Client(runtime.url)
    await late.connect()
    onTestFinished(() => late.end())
    const told = (work: readonly Taken[]) => work.map((one) => [payloadOf(one).n, one.isReplaced])
    await untilInTime(async () => {
      await runtime.clear()
      const claimer = await openClaimer()
      await enqueue(limited, { n: 1, text: '' }, REPLACES)
      const first = await claimer.claim(limited, 1)
      await late.query('begin')
      await client.enqueue(late, limited, { n: 2, text: '' }, REPLACES)
      await end('w1', first.work[0] as Taken, AGAIN)
      const again = await whileClaimWaits(
        runtime,
        () => claimer.claim(limited, 10),
        () => late.query('commit'),
      )
      expect(told(again.work)).toEqual([[1, true]])
      const newest = await claimer.claim(limited, 10, { hasNews: true })
      expect(told(newest.work)).toEqual([[2, false]])
    })
  })

  /** A step: what happens at the same moment. `lock` holds a table's rows until `free`. */
  const act = fc.oneof(
    fc.record({
      kind: fc.constant('replace' as const),
      key: fc.constantFrom('a', 'b'),
      isLong: fc.boolean(),
    }),
    fc.record({
      kind: fc.constantFrom('take', 'take', 'done', 'again', 'dead'),
      worker: fc.constantFrom('w1', 'w2'),
    }),
    fc.record({
      kind: fc.constant('lock' as const),
      table: fc.constantFrom('JobLimit', 'JobWork', 'JobUnique'),
    }),
    fc.record({ kind: fc.constantFrom('free', 'cancel', 'redrive', 'discard', 'sweep') }),
  )

  it(
    'never runs an older payload than the newest that was committed before, nor leaves one to nobody',
    { timeout: 300_000 },
    async () => {
      const setAge = (age: string) =>
        runtime.rows(
          `alter table "JobPayload" alter "createdAt" set default current_timestamp - interval '${age}'`,
        )
      // A round may come at any moment, and finds all old enough.
      await setAge('2 hours')
      onTestFinished(() => void setAge('0'))
      const claimers = { w1: await openClaimer('w1'), w2: await openClaimer('w2') }
      const locker = new pg.Client(runtime.url)
      await locker.connect()
      onTestFinished(() => locker.end())
      const steps = fc.array(fc.array(act, { minLength: 1, maxLength: 4 }), { maxLength: 12 })

      await fc.assert(
        fc.asyncProperty(fc.constantFrom('plain', 'limited'), steps, async (name, moments) => {
          const job = name === 'plain' ? plain : limited
          await runtime.clear()
          let n = 0
          // Replacements that overlap commit in any order: the oldest of the last ones is the bound.
          let newest: Record<string, number> = {}
          let replacing: Record<string, number> = {}
          const running: { worker: string; taken: Taken }[] = []
          let waiting: Promise<unknown>[] = []
          let isLocked = false

          for (const together of [...moments, [{ kind: 'free' as const }]]) {
            const begin = async (worker: 'w1' | 'w2') => {
              const { work } = await claimers[worker].claim(job, 1).catch(() => ({ work: [] }))
              for (const taken of work) {
                running.push({ worker, taken })
                expect(taken.payloadMissing).toBeNull()
                // Whoever redrives a dead letter wants the older.
                if (taken.isReplaced || taken.facts.actor !== undefined) continue
                const { text, n: ran } = payloadOf(taken)
                expect(ran).toBeGreaterThanOrEqual(newest[text.slice(0, 1)] ?? 0)
              }
            }
            const replace = async (key: string, isLong: boolean) => {
              const payload = { n: ++n, text: key + (isLong ? LONG : '') }
              replacing[key] ??= payload.n
              await enqueue(job, payload, { uniqueKey: key, onConflict: 'replace' })
            }
            const finish = async (worker: string, next: Next) => {
              const at = running.findIndex((one) => one.worker === worker)
              const [one] = at < 0 ? [] : running.splice(at, 1)
              if (one) await end(worker, one.taken, next)
            }
            const acts: Record<string, (worker: 'w1' | 'w2') => Promise<unknown>> = {
              take: begin,
              done: (worker) => finish(worker, { kind: 'done' }),
              again: (worker) => finish(worker, AGAIN),
              dead: (worker) => finish(worker, { kind: 'dead' }),
              cancel: () => client.cancelWork({ job, all: true }, BY),
              redrive: () => client.redriveDeadLetters('all', BY),
              discard: () => client.discardDeadLetters('all', BY),
              sweep: () => dropOrphanedPayloads(runtime.database, null),
            }
            const begun = together.map(async (what) => {
              if (what.kind === 'replace') await replace(what.key, what.isLong)
              else await acts[what.kind]?.('worker' in what ? what.worker : 'w1')
            })
            for (const what of together) {
              if (what.kind === 'lock' && !isLocked) {
                isLocked = true
                await locker.query(`begin; select from "${what.table}" for update`)
              } else if (what.kind === 'free' && isLocked) {
                await locker.query('commit')
                isLocked = false
              }
            }
            waiting.push(...begun)
            if (!isLocked) {
              await Promise.all(waiting)
              waiting = []
              newest = { ...newest, ...replacing }
              replacing = {}
            }
          }

          for (const { worker, taken } of running.splice(0))
            await end(worker, taken, { kind: 'done' })
          const named = new Set(await namedIds())
          await runtime.rows(`update "JobPayload" set "createdAt" = now() - interval '2 hours'`)
          await dropOrphanedPayloads(runtime.database, null)
          expect(await payloadIds()).toEqual([...named])
        }),
        { numRuns: 60, endOnFailure: true },
      )
    },
  )
})

describe('a piece whose payload is missing', () => {
  const lose = () => runtime.rows('delete from "JobPayload"')
  const started: number[] = []
  const startWorker = () =>
    startTestWorker(runtime, {
      jobs: [plain],
      handlers: { plain: async ({ payload }) => void started.push(payload.n) },
    })
  const failures = (count: number) =>
    waitFor(async () => {
      const codes = await runtime.column<string>(
        'select "errorCode" from "JobRun" order by "startedAt"',
      )
      return codes.length === count && codes
    })
  /** As if its five seconds were over. */
  const makeDue = () =>
    waitFor(async () => {
      const due = await runtime.rows(
        `update "JobWork" set "dueAt" = now() where "place" is null returning "dueAt"`,
      )
      return due.length === 1
    })

  beforeEach(() => {
    started.length = 0
  })

  it('goes back after five seconds at no cost, and is a dead letter the third time', async () => {
    const { workId } = await enqueue(plain, { n: 1, text: LONG })
    await lose()
    await startWorker()
    await failures(1)
    expect(
      await runtime.rows(
        `select "attempt", "failures", "losses", "facts", "dueAt" - (select max("endedAt") from "JobRun") > interval '4 seconds' as "isLater"
         from "JobWork"`,
      ),
    ).toEqual([{ attempt: 2, failures: 0, losses: 0, facts: { payloadMissing: 1 }, isLater: true }])
    await makeDue()
    await failures(2)
    await makeDue()
    expect(await failures(3)).toEqual(['payload_missing', 'payload_missing', 'payload_missing'])
    expect(
      await runtime.rows(
        'select "id"::text as "id", "errorCode", "failures", "facts" from "JobDeadLetter"',
      ),
    ).toEqual([{ id: workId, errorCode: 'payload_missing', failures: 0, facts: null }])
    expect(started).toEqual([])
  })

  it('runs once the payload is there', async () => {
    await enqueue(plain, { n: 1, text: LONG })
    const [row] = await runtime.rows('delete from "JobPayload" returning "id", "workId", "payload"')
    await startWorker()
    await failures(1)
    await runtime.rows('insert into "JobPayload" ("id", "workId", "payload") values ($1, $2, $3)', [
      ...Object.values(row!),
    ])
    await makeDue()
    await waitFor(async () => (await payloadIds()).length === 0)
    expect(started).toEqual([1])
  })

  it.each([
    ['whose connection is lost', () => new Error('Connection terminated unexpectedly'), 0],
    [
      'that PostgreSQL cannot read',
      () => Object.assign(new pg.DatabaseError('missing chunk', 0, 'error'), { code: 'XX001' }),
      Infinity,
    ],
  ])('is told from one %s', async (_, error, most) => {
    let refused = 0
    const { workId } = await enqueue(plain, { n: 1, text: LONG })
    await enqueue(plain, { n: 2, text: LONG })
    const database = interceptQueries(runtime.database, async (carryOut, statement, values) => {
      const reads = textOf(statement).includes('true as "isPayload"')
      const isOf = reads && (values[0] as string[]).includes(workId)
      if (isOf && refused++ <= most) throw error()
      return await carryOut()
    })
    const { work } = await (await openClaimer('w1', database)).claim(plain, 10)
    const missing = most === Infinity ? 'missing chunk' : null
    expect(work.map(({ payloadMissing }) => payloadMissing)).toEqual([missing, null])
    expect(payloadOf(work[1]!).n).toBe(2)
    expect(refused).toBe(2)
  })
})

describe('a claim whose answer was lost', () => {
  it('brings the same when it is found as when it was answered', async () => {
    const keyed = defineJob({
      name: 'keyed',
      payload: schema,
      partition: { key: ({ text }: Payload) => text.slice(0, 1) },
    })
    const limits = await registeredLimits(runtime, [keyed])
    const startAfter = new Date(Date.now() + 300)
    await client.enqueueNow(keyed, { n: 1, text: `k${LONG}` })
    await client.enqueueNow(keyed, { n: 2, text: 'k' }, { startAfter })
    await runtime.rows(
      `update "JobWork" set "place" = nextval('"JobPlace"'), "enqueuedAt" = "dueAt" - interval '5 seconds' where "place" is null`,
    )
    const claimer = createClaimer({
      database: runtime.database,
      workerId: 'w1',
      now: () => new Date(),
      limits,
    })
    const { work } = await claimer.claim(keyed, 10)
    expect(work.map(({ key }) => key)).toEqual(['k', 'k'])
    expect(work.map(({ isPlain }) => isPlain)).toEqual([false, false])
    const found: Taken[] = []
    for (const { claim } of work) {
      if (found.some((one) => one.claim.id === claim.id)) continue
      const request = { ...claimRequest('keyed'), claimId: claim.id }
      found.push(...(await findWorkOfClaims(runtime.database, 'w1', [request])))
    }
    const read = await readBesideClaim(runtime.database, found)
    const told = ({ key, isPlain, payload, label, facts, payloadId }: Taken) => ({
      ...{ key, isPlain, payload, label, facts, payloadId },
    })
    expect(read.map(told)).toEqual(work.map(told))
  })
})

describe('the long payload of a piece', () => {
  const put = async (n: number) => (await enqueue(plain, { n, text: LONG }, REPLACES)).workId
  const take = async () => (await (await openClaimer()).claim(plain, 1)).work[0] as Taken
  const named = async () => [await payloadIds(), await namedIds()]
  const nothing = [[], []]

  it.each(['done', 'over'] as const)('goes with a run that is %s', async (kind) => {
    await put(1)
    await end('w1', await take(), { kind })
    expect(await named()).toEqual(nothing)
  })

  it('goes with work that is cancelled while it waits', async () => {
    const workId = await put(1)
    await client.cancelWork({ job: plain, ids: [workId] }, BY)
    expect(await named()).toEqual(nothing)
  })

  it('goes with a run whose work was replaced meanwhile, whatever was to follow, and the newer one stays', async () => {
    await put(1)
    const first = await take()
    await put(2)
    await end('w1', first, AGAIN)
    const newest = await take()
    expect([payloadOf(newest).n, await payloadIds()]).toEqual([2, [newest.payloadId]])
    await end('w1', newest, { kind: 'done' })
    expect(await named()).toEqual(nothing)
  })

  it('is the newest, and a single one, where work is replaced while it waits', async () => {
    for (const n of [1, 2, 3]) await put(n)
    const taken = await take()
    expect([payloadOf(taken).n, await payloadIds()]).toEqual([3, [taken.payloadId]])
  })

  it('stays the same one over retries, dead letters, redrives and tries by hand, and goes with a discard', async () => {
    const workId = await put(1)
    await end('w1', await take(), AGAIN)
    await end('w1', await take(), { kind: 'dead' })
    await client.redriveDeadLetters({ ids: [workId] }, BY)
    await end('w1', await take(), { kind: 'dead' })
    const byHand = await runOnce({
      ...runtime.runOptions,
      job: plain,
      handler: async ({ payload }) => {
        expect(payload).toEqual({ n: 1, text: LONG })
        throw new Error('no luck')
      },
      deadLetter: workId,
    })
    expect(byHand).toMatchObject({
      kind: 'ended',
      run: { details: { error: { message: 'no luck' } } },
    })
    expect(await named()).toEqual([[workId], [workId]])
    await client.discardDeadLetters({ ids: [workId] }, BY)
    expect(await named()).toEqual(nothing)
  })

  it.each([
    ['long', LONG],
    ['short', ''],
  ])('of a blocked run is kept for its approval, which runs with a copy: %s', async (_, text) => {
    await enqueue(plain, { n: 1, text })
    const blocked = await take()
    await end('w1', blocked, { kind: 'keep' }, 'guard_blocked')
    const [[kept] = [], naming] = await named()
    expect(naming).toEqual([kept])
    expect((await client.approveRun(blocked.id, BY)).kind).toBe('approved')
    const approved = await take()
    expect(payloadOf(approved)).toEqual({ n: 1, text })
    expect(await payloadIds()).toEqual(text === '' ? [] : [approved.payloadId])
    expect(approved.payloadId).not.toBe(kept)
  })
})

it('a dead letter is not tried as a dry run, which would be its real attempt', async () => {
  const options = {
    ...runtime.runOptions,
    job: plain,
    handler: async () => undefined,
    dryRun: true,
  }
  await expect(runOnce({ ...options, deadLetter: crypto.randomUUID() })).rejects.toThrow(
    'dryRun is for other runs: that of a dead letter is a real attempt',
  )
})

describe('a payload that is null', () => {
  const text = defineJob({ name: 'text', payload: z.string().nullable(), retry: { limit: 0 } })

  it('arrives as null, and stays null in a dead letter that somebody tries by hand', async () => {
    const { workId } = await client.enqueueNow(text, null)
    const seen: unknown[] = []
    const refuse = async ({ payload }: { payload: unknown }) => {
      seen.push(payload)
      throw new Error('no luck')
    }
    await startTestWorker(runtime, { jobs: [text], handlers: { text: refuse } })
    const letter = () => runtime.rows('select "payload", "bytes" from "JobDeadLetter"')
    await waitFor(async () => (await letter()).length === 1)
    await runOnce({ ...runtime.runOptions, job: text, handler: refuse, deadLetter: workId })
    expect(seen).toEqual([null, null])
    expect(await letter()).toEqual([{ payload: null, bytes: 4 }])
  })
})

describe('payloads that nothing names', () => {
  it('are deleted once they are an hour old, and those that something names are kept', async () => {
    const insert = async (age: string, name = '') => {
      const [id] = await runtime.column<string>(
        `insert into "JobPayload" ("id", "workId", "payload", "createdAt")
         values (gen_random_uuid(), gen_random_uuid(), '{}', now() - $1::interval) returning "id"::text`,
        [age],
      )
      if (name !== '') await runtime.rows(name.replaceAll(':id', `'${id}'`))
      return id as string
    }
    const work = (table: string, columns = '', values = '') =>
      `insert into "${table}" ("id", "name", "bytes", "payloadId"${columns}) select "workId", 'plain', 2000, "id"${values} from "JobPayload" where "id" = :id`
    const run = (age: string, approved = 'null') =>
      `insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workId", "workerId", "errorCode", "payloadId", "approvedAt")
       select gen_random_uuid(), 'plain', 'failed', 'cli', now() - interval '${age}', now() - interval '${age}', "workId", 'w1', 'guard_blocked', "id", ${approved}
       from "JobPayload" where "id" = :id`
    const kept = [
      await insert('59 minutes'),
      await insert('3 days', work('JobWork')),
      await insert(
        '3 days',
        work('JobDeadLetter', ', "errorCode", "errorMessage"', `, 'broken', ''`),
      ),
      await insert('3 days', run('23 hours')),
      await insert(
        '3 days',
        `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts", "payloadIds")
         values (gen_random_uuid(), 'plain', 'w1', now(), 'infinity', array[gen_random_uuid(), gen_random_uuid()], array[now(), now()], array[null, :id::uuid])`,
      ),
    ]
    await insert('61 minutes')
    await insert('3 days', run('25 hours'))
    await insert('3 days', run('1 hour', 'now()'))
    expect(await dropOrphanedPayloads(runtime.database, null)).toBeNull()
    expect(await payloadIds()).toEqual(kept.toSorted())
  })

  it('are found a thousand at a time, behind any number that something names', async () => {
    await runtime.rows(`
      insert into "JobPayload" ("id", "workId", "payload", "createdAt")
      select gen_random_uuid(), gen_random_uuid(), '{}', now() - interval '2 days' from generate_series(1, 1500)`)
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "bytes", "payloadId") select "workId", 'plain', 2000, "id" from "JobPayload"`,
    )
    await runtime.rows(`
      insert into "JobPayload" ("id", "workId", "payload", "createdAt")
      values (gen_random_uuid(), gen_random_uuid(), '{}', now() - interval '1 day')`)
    const next = await dropOrphanedPayloads(runtime.database, null)
    expect([next === null, (await payloadIds()).length]).toEqual([false, 1_501])
    expect(await dropOrphanedPayloads(runtime.database, next)).toBeNull()
    expect(await payloadIds()).toHaveLength(1_500)
  })
})
