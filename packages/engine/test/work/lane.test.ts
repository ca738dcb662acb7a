// Not quick: waits for lanes that nobody wakes.
import { openForTests, waitFor } from '@roundsman/testing'
import { afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { ClaimConflict } from '../../src/queue/claimWork.ts'
import type { Taken } from '../../src/queue/taken.ts'
import { endStaleClaims } from '../../src/liveness/rescue.ts'
import type { Database } from '../../src/database/database.ts'
import { placeDue } from '../../src/queue/looks.ts'
import { createClaimer, type ClaimAnswer, type Claimer } from '../../src/work/claimer.ts'
import { createLane, type Lane } from '../../src/work/lane.ts'
import { createPayloadBudget } from '../../src/work/payloadBudget.ts'
import type { Limits } from '../../src/work/limits.ts'
import { createTurns } from '../../src/work/turns.ts'
import { openTestQueue, toTestWork } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { registeredLimits } from '../registeredLimits.ts'
import { startTestLanes } from '../startTestLanes.ts'
import { interceptQueries, isClaim, textOf } from '../interceptQueries.ts'

const echo = defineJob({ name: 'echo' })
const other = defineJob({ name: 'other' })
const limited = defineJob({
  name: 'limited',
  rateLimit: { limit: 1_000, perMs: 1_000 },
})
const slow = defineJob({
  name: 'slow',
  rateLimit: { limit: 20, perMs: 3_600_000 },
})
const exclusive = defineJob({
  name: 'exclusive',
  dryRun: true,
  schedule: { cron: '0 0 1 1 *' },
})
const jobs = [echo, other, limited, slow, exclusive]

const runtime = useTestRuntime()
const opened = openForTests(() =>
  openTestQueue(runtime, jobs, () => lanes.forEach((lane) => lane.wake())),
)
let lanes: Lane[] = []
/** With those that a test has left for others. */
let started: Lane[] = []
let executed: Taken[]
let limits: Limits
/** The claiming statements that returned work. */
let statements: string[]

beforeAll(async () => {
  limits = await registeredLimits(runtime, jobs)
})

beforeEach(async () => {
  executed = []
  statements = []
  await runtime.clear()
})

afterEach(async () => {
  await Promise.all([...started, ...lanes].map((lane) => lane.stop()))
  ;[lanes, started] = [[], []]
})

/** Lanes of one worker. */
function startLanes(of: readonly Job[], database: Database): void {
  const counted = interceptQueries(database, async (carryOut, statement) => {
    const result = await carryOut()
    // The last row of a claim's answer has no work.
    if (result.rows.some(({ id }) => id != null)) statements.push(textOf(statement))
    return result
  })
  lanes = startTestLanes(runtime, of, counted, (claim) => executed.push(claim), limits)
  started.push(...lanes)
}

const send = (job: Job) => runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, job, {}))
const runs = () =>
  runtime.rows<{ id: string; workId: string; attempt: number; status: string }>(
    `select "id", "workId", "attempt", "status" from "JobRunAll" order by "attempt"`,
  )
const held = () =>
  runtime.rows<{ name: string; workerId: string; exclusiveKey: string | null; runIds: string[] }>(
    `select "name", "workerId", "exclusiveKey", "runIds" from "JobClaim"
     where cardinality("runIds") > 0 order by "name"`,
  )

describe('lanes that look for work at the same moment', () => {
  it('take it with one statement, each its own, and hold it by a claim of each job', async () => {
    const ids = { echo: (await send(echo)).workId, other: (await send(other)).workId }
    startLanes([echo, other], runtime.database)

    await waitFor(() => executed.length === 2)
    expect(statements).toHaveLength(1)
    expect(Object.fromEntries(executed.map(({ name, workId }) => [name, workId]))).toEqual(ids)
    expect(await held()).toEqual([
      { name: 'echo', workerId: 'w1', exclusiveKey: null, runIds: [ids.echo] },
      { name: 'other', workerId: 'w1', exclusiveKey: null, runIds: [ids.other] },
    ])
  })
})

describe.each([echo, limited])('a lane of $name', (job) => {
  it('passes over what somebody else is just taking', async () => {
    const [taken, left] = [await send(job), await send(job)]
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobWork" where "id" = $1 for update', [taken.workId])
      startLanes([job], runtime.database)
      await waitFor(() => executed.length)
      expect(executed.map(({ workId }) => workId)).toEqual([left.workId])
    })
  })
})

describe('a claimer', () => {
  it.each([echo, limited])('says of $name that there may be more if it got all', async (job) => {
    const { claim } = realClaimer()
    expect(await claim(job, 2)).toMatchObject({ work: [], mayBeMore: false })
    for (let n = 0; n < 3; n++) await send(job)
    expect(await claim(job, 2)).toMatchObject({ work: [{}, {}], mayBeMore: true })
    expect(await claim(job, 2)).toMatchObject({ work: [{}], mayBeMore: false })
  })

  it('takes no more than the rate limit lets start, and says that there may be more', async () => {
    const { claim } = realClaimer()
    for (let n = 0; n < 4; n++) await send(slow)
    expect(await claim(slow, 10)).toMatchObject({ work: [{}, {}], mayBeMore: true, freeInMs: null })
    const answer = await claim(slow, 10)
    expect(answer).toMatchObject({ work: [], mayBeMore: false })
    // Three minutes after the first, less what has passed since.
    expect(answer.freeInMs).toBeGreaterThan(120_000)
    expect(answer.freeInMs).toBeLessThanOrEqual(180_000)
  })

  it("makes two claims for a lane that asks twice, of work and of nothing that is another one's", async () => {
    const { claim } = realClaimer()
    for (let n = 0; n < 3; n++) await send(echo)
    const [first, second] = await Promise.all([claim(echo, 2), claim(echo, 2)])
    const taken = [...first.work, ...second.work].map(toTestWork)
    expect(new Set(taken.map(({ runId }) => runId)).size).toBe(taken.length)
    const claims = await runtime.rows<{ id: string; runIds: string[] }>(
      'select "id", "runIds" from "JobClaim"',
    )
    expect(taken).toHaveLength(3)
    // No other claim is left: nobody would release one that holds no run of its own.
    expect(new Set(claims.map(({ id }) => id))).toEqual(new Set(taken.map((one) => one.claimId)))
    for (const { claimId, runId } of taken) {
      expect(claims.find(({ id }) => id === claimId)?.runIds).toContain(runId)
    }
  })
})

const realClaimer = () =>
  createClaimer({ database: runtime.database, workerId: 'w1', now: () => new Date(), limits })

/** Holds claims up until it is opened: `before` they are sent, or `after` they were answered. */
function holdClaims(when: 'before' | 'after') {
  let asked = 0
  let open: () => void = () => undefined
  const opening = new Promise<void>((resolve) => (open = resolve))
  const database = interceptQueries(runtime.database, async (carryOut, statement) => {
    if (!isClaim(statement)) return await carryOut()
    asked++
    if (when === 'before') await opening
    const result = await carryOut()
    if (when === 'after') await opening
    return result
  })
  return { database, open, asked: () => asked }
}

describe('a lane whose claim is under way', () => {
  it('asks for no more than it has room for, and looks again when it was woken meanwhile', async () => {
    const { database, open, asked } = holdClaims('after')
    startLanes([echo], database)
    await waitFor(() => asked() === 1)
    await send(echo)
    // Claims under way have asked for all of its room.
    for (const lane of lanes) lane.wake()
    await new Promise(setImmediate)
    expect(asked()).toBe(1)
    open()
    await waitFor(() => executed.length === 1)
  })

  it('hands on what it brings before it has stopped, and takes nothing more', async () => {
    for (let n = 0; n < 3; n++) await send(echo)
    const { database, open, asked } = holdClaims('after')
    startLanes([echo], database)
    await waitFor(() => asked() === 1)
    let hasStopped = false
    const stopped = Promise.all(lanes.map((lane) => lane.stop())).then(() => (hasStopped = true))
    await new Promise(setImmediate)
    expect(hasStopped).toBe(false)
    open()
    await stopped
    expect(executed).toHaveLength(2)
    // One claim holds both, and is released with the last of them.
    expect(executed[0]!.claim).toBe(executed[1]!.claim)
    expect(executed[0]!.claim.open.size).toBe(2)
    await Promise.all(lanes.map((lane) => lane.idle()))
    expect(await runs()).toHaveLength(2)
  })
})

describe('a lane that nobody wakes', () => {
  it('looks again after a claim that failed', async () => {
    await send(echo)
    let failures = 1
    const failing: Pick<Claimer, 'claim'> = {
      claim: async (...args) => {
        if (failures-- > 0) throw new Error('connection lost')
        return await realClaimer().claim(...args)
      },
    }
    const lane = createLane({
      job: echo,
      concurrency: 1,
      claimer: failing,
      log: runtime.log,
      perform: async (claim) => void executed.push(claim),
    })
    lane.start()
    await waitFor(() => executed.length)
    await lane.stop()
    expect(await runs()).toHaveLength(1)
  })

  it('pauses after a failure no longer than after the first, once it has succeeded', async () => {
    // If the pause grew from one failure to the next, they would take minutes.
    const FAILURES = 20
    let asked = 0
    const lane = createLane({
      job: echo,
      concurrency: 1,
      claimer: {
        claim: async () => {
          const hasFailed = ++asked % 2 === 1
          if (hasFailed && asked < 2 * FAILURES) throw new Error('connection lost')
          // It looks again at once.
          return { work: [], mayBeMore: asked < 2 * FAILURES, freeInMs: null, isAlive: true }
        },
      },
      log: runtime.log,
      perform: async () => undefined,
    })
    lane.start()
    await waitFor(() => asked >= 2 * FAILURES)
    await lane.stop()
    expect(asked).toBe(2 * FAILURES)
  })

  it('looks again at once, without a warning of Node, where its rate has room by now', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    onTestFinished(() => warned.mockRestore())
    let asked = 0
    const answer = { work: [], mayBeMore: false, freeInMs: -5, isAlive: true }
    const lane = createLane({
      job: limited,
      concurrency: 1,
      claimer: { claim: async () => ((asked += 1) === 1 ? answer : { ...answer, freeInMs: null }) },
      log: runtime.log,
      perform: async () => undefined,
    })
    lane.start()
    await waitFor(() => asked === 2)
    await lane.stop()
    expect(warned).not.toHaveBeenCalled()
  })

  it('does not look again at once after a claim that met another one', async () => {
    let asked = 0
    const lane = createLane({
      job: exclusive,
      concurrency: 1,
      claimer: {
        claim: async () => {
          asked++
          throw new ClaimConflict(undefined)
        },
      },
      log: runtime.log,
      perform: async () => undefined,
    })
    runtime.lines.length = 0
    lane.start()
    await waitFor(() => asked === 1)
    await lane.stop()
    expect(runtime.lines.filter(({ level }) => level === 40)).toEqual([])
  })
})

describe('a lane', () => {
  it('says that there is a backlog after a claim that was answered in full, and not else', async () => {
    for (let n = 0; n < 5; n++) await send(echo)
    const claimer = realClaimer()
    const asked: (boolean | undefined)[] = []
    const lane = createLane({
      job: echo,
      concurrency: 2,
      claimer: {
        claim: (job, limit, options) => {
          asked.push(options?.hasBacklog)
          return claimer.claim(job, limit, options)
        },
      },
      log: runtime.log,
      perform: async (claim) => executed.push(claim),
    })
    lane.start()
    await waitFor(() => executed.length === 5)
    await waitFor(() => {
      lane.wake()
      return asked.at(-1) === false
    })
    await lane.stop()

    expect(asked.slice(0, 2)).toEqual([false, true])
  })
})

describe('a lane that is full', () => {
  it('asks for what neither runs nor is asked for already', async () => {
    await runtime.prisma.$transaction((tx) =>
      opened.client.enqueueMany(tx, echo, [{ payload: {} }, { payload: {} }]),
    )
    const wanted: number[] = []
    const ends: (() => void)[] = []
    const { database, open, asked } = holdClaims('before')
    const first = realClaimer()
    const slowed = createClaimer({ database, workerId: 'w1', now: () => new Date() })
    const lane = createLane({
      job: echo,
      concurrency: 3,
      claimer: {
        claim: (job, limit) => (wanted.push(limit) === 1 ? first : slowed).claim(job, limit),
      },
      log: runtime.log,
      perform: async (claim) => {
        executed.push(claim)
        await new Promise<void>((resolve) => ends.push(resolve))
      },
    })
    lane.start()
    await waitFor(() => executed.length === 2)
    await waitFor(() => {
      lane.wake()
      return asked() === 1
    })
    ends.shift()?.()
    await waitFor(() => lane.running() === 1)
    lane.wake()
    await waitFor(() => asked() === 2)
    expect(wanted).toEqual([3, 1, 1])
    open()
    for (const end of ends) end()
    await lane.stop()
  })

  it('takes more as soon as there is room, and never more than its concurrency', async () => {
    const ends: (() => void)[] = []
    let [running, most] = [0, 0]
    const lane = createLane({
      job: echo,
      concurrency: 3,
      claimer: realClaimer(),
      log: runtime.log,
      perform: async (claim) => {
        most = Math.max(most, ++running)
        executed.push(claim)
        await new Promise<void>((resolve) => ends.push(resolve))
        running--
      },
    })
    // Nothing wakes it.
    await runtime.prisma.$transaction((tx) =>
      opened.client.enqueueMany(
        tx,
        echo,
        Array.from({ length: 8 }, () => ({ payload: {} })),
      ),
    )
    lane.start()
    await waitFor(() => executed.length === 3)
    for (let ended = 1; ended <= 8; ended++) {
      ends.shift()?.()
      await waitFor(() => executed.length === Math.min(8, 3 + ended))
    }
    await lane.idle()
    expect(lane.running()).toBe(0)
    await lane.stop()
    expect(most).toBe(3)
    expect(new Set(executed.map(({ id }) => id)).size).toBe(8)
  })
})

describe('lanes that may hold only so many bytes together', () => {
  const MB = 2 ** 20
  const OF_EACH = 20
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  let left: Map<string, number>
  let ends: Map<string, (() => void)[]>
  let most: number

  beforeEach(() => {
    left = new Map(names.map((name) => [name, OF_EACH]))
    ends = new Map(names.map((name) => [name, []]))
    most = 0
    let bytes = 0
    const budget = createPayloadBudget(10 * MB)
    lanes = names.map((name) =>
      createLane({
        job: defineJob({ name }),
        concurrency: OF_EACH,
        budget,
        claimer: {
          claim: async (_, limit) => {
            const count = Math.min(limit, left.get(name)!)
            left.set(name, left.get(name)! - count)
            const one = { id: 'r', name, attempt: 1, facts: {}, bytes: MB } as Taken
            const work = Array.from({ length: count }, () => one)
            return { work, mayBeMore: count === limit, freeInMs: null, isAlive: true }
          },
        },
        log: runtime.log,
        perform: async () => {
          most = Math.max(most, (bytes += MB))
          await new Promise<void>((resolve) => ends.get(name)!.push(resolve))
          bytes -= MB
        },
      }),
    )
    for (const lane of lanes) lane.start()
  })

  it('take one piece each beyond that, and carry out everything', async () => {
    const isUnderWay = (lane: Lane, n: number) => lane.running() > 0 || left.get(names[n]!) === 0
    for (let n = 0; n < names.length * OF_EACH; n++) {
      await waitFor(() => lanes.every(isUnderWay))
      // A run of the lane that holds the most.
      const [next] = [...ends.values()].toSorted((a, b) => b.length - a.length)
      const [end] = next!.splice(0, 1)
      end?.()
      if (end === undefined) n--
    }
    await Promise.all(lanes.map((lane) => lane.idle()))
    expect([...left.values()].every((count) => count === 0)).toBe(true)
    // One lane's claim goes beyond the limit, and one piece of each other lane.
    expect(most).toBeLessThanOrEqual((10 + OF_EACH + names.length) * MB)
  })

  it('take more once the runs of another lane have ended, without being woken', async () => {
    await waitFor(() => lanes.every((lane) => lane.running() > 0))
    expect(lanes.map((lane) => lane.running())).toEqual([OF_EACH, 1, 1, 1, 1, 1, 1, 1])
    for (const end of ends.get('a')!.splice(0)) end()
    await waitFor(() => lanes[1]!.running() === OF_EACH)
    for (const lane of lanes) await lane.stop()
    for (const ending of ends.values()) for (const end of ending) end()
  })
})

describe('a lane of a job of which one run may be under way', () => {
  it('takes nothing while somebody holds one, and leaves the work as it was', async () => {
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "exclusiveKey", "startedAt", "expiresAt", "runIds", "enqueuedAts")
       values (gen_random_uuid(), 'exclusive', 'w2', 'exclusive', now(), 'infinity', array[gen_random_uuid()], array[now()])`,
    )
    await send(exclusive)
    const readWork = () => runtime.rows(`select * from "JobWork" where "name" = 'exclusive'`)
    const before = await readWork()
    await send(echo)
    startLanes([exclusive, echo], runtime.database)

    await waitFor(() => executed.length)
    expect(executed.map(({ name }) => name)).toEqual(['echo'])
    expect(await readWork()).toEqual(before)

    await runtime.rows(`delete from "JobClaim" where "workerId" = 'w2'`)
    lanes[0]!.wake()
    await waitFor(() => executed.length === 2)
    expect((await held())[1]).toMatchObject({ name: 'exclusive', exclusiveKey: 'exclusive' })
  })

  it('is free for a later attempt at the same work when an earlier one hangs past every limit', async () => {
    await send(exclusive)
    startLanes([exclusive], runtime.database)
    await waitFor(() => executed.length)
    await runtime.rows('update "JobClaim" set "expiresAt" = "createdAt"')
    const { database, log } = runtime
    const retryOf = new Map([[exclusive.name, exclusive.retry]])
    const by = { workerId: 'w1', retryOf, expiredSince: new Map<string, number>() }
    await endStaleClaims({ database, log, now: () => new Date(), ...by })
    await runtime.rows(`update "JobWork" set "dueAt" = now() - interval '1 second'`)
    await placeDue(database, [exclusive.name])
    startLanes([exclusive], runtime.database)

    await waitFor(() => executed.length === 2)
    expect(await runs()).toMatchObject([
      { attempt: 1, status: 'failed' },
      { attempt: 2, status: 'running' },
    ])
    expect(await held()).toMatchObject([{ runIds: [executed[1]!.id] }])
  })

  it('takes a rehearsal beside it, which holds no key', async () => {
    await send(exclusive)
    startLanes([exclusive], runtime.database)
    await waitFor(() => executed.length)
    await runtime.prisma.$transaction((tx) =>
      opened.client.requestRun(exclusive, { actor: 'a', reason: 'r', dryRun: true }, { tx }),
    )
    startLanes([exclusive], runtime.database)
    await waitFor(() => executed.length === 2)
    expect(executed.map(({ facts }) => facts.dryRun ?? false)).toEqual([false, true])
    expect(new Set((await held()).map((claim) => claim.exclusiveKey))).toEqual(
      new Set(['exclusive', null]),
    )
  })
})

describe('a lane of an exclusive job', () => {
  let ends: (() => void)[]
  let lane: Lane

  beforeEach(() => {
    ends = []
    lane = createLane({
      job: exclusive,
      concurrency: 2,
      claimer: realClaimer(),
      log: runtime.log,
      perform: (claim) => {
        executed.push(claim)
        return new Promise<void>((resolve) => ends.push(resolve))
      },
    })
    lanes = [lane]
  })

  const request = (dryRun: boolean) =>
    runtime.prisma.$transaction((tx) =>
      opened.client.requestRun(exclusive, { actor: 'tests', reason: 'look', dryRun }, { tx }),
    )
  const kinds = () => executed.map(({ facts }) => (facts.dryRun ? 'dry' : 'real'))

  it('makes no more dry runs at once than its concurrency', async () => {
    for (let n = 0; n < 3; n++) await request(true)
    lane.start()
    await waitFor(() => executed.length === 2)
    lane.wake()
    await lane.stop()
    expect(kinds()).toEqual(['dry', 'dry'])
    for (const end of ends) end()
    await lane.idle()
  })

  it('starts its run beside dry runs that have not ended, and no second one', async () => {
    await request(true)
    lane.start()
    await waitFor(() => executed.length === 1)
    await request(false)
    lane.wake()
    await waitFor(() => executed.length === 2)
    expect(kinds()).toEqual(['dry', 'real'])

    await request(false)
    await request(true)
    lane.wake()
    await lane.stop()
    expect(kinds()).toEqual(['dry', 'real'])
    expect(lane.running()).toBe(2)
    for (const end of ends) end()
    await lane.idle()
  })
})

it('a lane that waits for its rate limit leaves no timer when it is stopped, and says which run was let down', async () => {
  // Only the lane's timers last for a minute; others of the process come and go.
  const set = vi.spyOn(globalThis, 'setTimeout')
  const clear = vi.spyOn(globalThis, 'clearTimeout')
  onTestFinished(() => {
    vi.restoreAllMocks()
  })
  const alarms = () =>
    set.mock.results
      .filter((_, call) => set.mock.calls[call]![1] === 60_000)
      .map(({ value }) => value)
  const cleared = () => clear.mock.calls.map(([timer]) => timer)
  const { workId } = await send(echo)
  const [work] = await opened.take('echo', 1)
  let claims = 0
  const lane = createLane({
    job: limited,
    concurrency: 1,
    claimer: {
      claim: async () => ({
        work: claims++ === 0 ? [work!] : [],
        mayBeMore: false,
        freeInMs: 60_000,
        isAlive: true,
      }),
    },
    log: runtime.log,
    perform: () => Promise.reject(new Error('broken')),
  })
  lane.start()
  await waitFor(() => alarms().length > 0)
  expect(cleared()).not.toEqual(expect.arrayContaining(alarms()))
  await lane.stop()
  expect(cleared()).toEqual(expect.arrayContaining(alarms()))
  await lane.idle()
  expect(runtime.lines.at(-1)).toMatchObject({
    msg: 'the end of a job run could not be handled',
    runId: workId,
    err: { message: 'broken' },
  })
})

it('a lane asks again where a run has ended while the claim was under way that says that a limit is full', async () => {
  await send(echo)
  const [work] = await opened.take('echo', 1)
  const nothing = { work: [], isAlive: true, mayBeMore: false, freeInMs: null }
  const second = Promise.withResolvers<ClaimAnswer>()
  const answers = [{ ...nothing, work: [work!] }, second.promise]
  let claims = 0
  const end = Promise.withResolvers<void>()
  const lane = createLane({
    job: echo,
    concurrency: 2,
    claimer: { claim: async () => (await answers[claims++]) ?? nothing },
    log: runtime.log,
    perform: () => end.promise,
  })
  lane.start()
  await waitFor(() => lane.running() === 1)
  lane.wake()
  expect(claims).toBe(2)
  end.resolve()
  await lane.idle()
  second.resolve({ ...nothing, isFull: true })
  await waitFor(() => claims === 3)
  await lane.stop()
  expect(claims).toBe(3)
})

it('whoever is to run alone waits for the runs of a lane, until the last has ended', async () => {
  const turns = createTurns({ waitMs: 60_000, onOpen: () => undefined })
  onTestFinished(() => turns.stop())
  const ends: (() => void)[] = []
  const lane = createLane({
    job: echo,
    concurrency: 2,
    claimer: createClaimer({
      database: runtime.database,
      workerId: 'w1',
      now: () => new Date(),
    }),
    log: runtime.log,
    turns,
    perform: () => new Promise<void>((resolve) => ends.push(resolve)),
  })
  lanes = [lane]
  await send(echo)
  await send(echo)
  lane.start()
  await waitFor(() => ends.length === 2)
  await lane.stop()

  let turn: string | null = null
  void turns.acquire().then(({ kind }) => (turn = kind))
  ends[0]!()
  await waitFor(() => lane.running() === 1)
  expect(turn).toBeNull()
  ends[1]!()
  await lane.idle()
  expect(turn).toBe('alone')
})
