// Not quick: a run by hand waits for its session.
import { openForTests } from '@roundsman/testing'
import { pino } from 'pino'
import { v7 as uuid } from 'uuid'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createJobsClient, getJobRun } from '../../src/client.ts'
import { defineJob, type EnqueueOptions, type PayloadOf, type RunContext } from '../../src/index.ts'
import { readerOf } from '../../src/read/reader.ts'
import { readRunLinks } from '../../src/read/runLinks.ts'
import { rescueLostRuns } from '../../src/liveness/rescue.ts'
import { openDatabase } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { openTestJobs, type TestRun } from '../../src/testing.ts'
import { runOnce } from '../../src/worker.ts'
import type { PlainTransaction } from '../fixtures/plainClient.ts'
import { usePlainClient } from '../usePlainClient.ts'

const parent = defineJob({
  name: 'parent',
  payload: z.object({ children: z.number() }),
  guard: { maxRows: 1 },
  retry: { limit: 0 },
})
const child = defineJob({
  name: 'child',
  dryRun: true,
  payload: z.object({ n: z.number() }),
  label: ({ n }) => `child ${n}`,
  retry: { limit: 1, delayMs: 1_000 },
})
const jobs = [parent, child] as const
const by = { actor: 'olga@example.com', reason: 'checked' }
const log = pino({ level: 'silent' })

let options: EnqueueOptions
let due: number
let handleChild: (context: RunContext<PayloadOf<typeof child>, PlainTransaction>) => Promise<void>

const { database, client } = usePlainClient()
const test = openForTests(() =>
  openTestJobs({
    databaseUrl: database.url,
    client,
    jobs,
    handlers: {
      async parent({ payload, enqueue, batch, guard }) {
        await guard({ total: async () => 1_000, due: async () => due })
        await batch(async (tx) => {
          for (let n = 1; n <= payload.children; n++) await enqueue(tx, child, { n }, options)
          return { children: payload.children }
        })
      },
      child: (context) => handleChild(context),
    },
  }),
)

beforeEach(async () => {
  await test.reset()
  options = {}
  due = 0
  handleChild = async () => undefined
})

const enqueueParent = (children = 1) => test.enqueueNow(parent, { children })
const only = (runs: readonly TestRun[], job: { name: string }) =>
  runs.filter(({ name }) => name === job.name)
const found = async (id: string) => {
  const run = await getJobRun(test.reader, id)
  if (run === null) throw new Error(`There is no run ${id}`)
  return run
}
const linksOf = async (id: string) => await readRunLinks(test.reader, await found(id))
const fail = async () => {
  throw new Error('broken')
}
const open = () => {
  const own = openDatabase({
    url: database.url,
    applicationName: 'test',
    schema: createSchema(test.schema),
    log,
  })
  onTestFinished(() => own.close())
  return own
}

describe('what a handler has enqueued', () => {
  it('names its run in each attempt, as a dead letter, redriven, and tried by hand', async () => {
    handleChild = fail
    await enqueueParent()
    const first = await test.drain()
    await test.advance(1_000)
    const second = await test.drain()
    const [{ id: parentId }] = only(first, parent) as [TestRun]
    const [{ id: letterId }] = second as [TestRun]
    const { workId } = await found(letterId)

    await test.redriveDeadLetters({ ids: [workId!] }, by)
    const third = await test.drain()
    await test.advance(1_000)
    const fourth = await test.drain()
    const byHand = await runOnce({
      databaseUrl: database.url,
      schema: test.schema,
      client,
      job: child,
      handler: async () => undefined,
      deadLetter: workId!,
      now: test.now,
      log,
    })
    if (byHand.kind !== 'ended') throw new Error(byHand.kind)

    const attempts = [...only(first, child), ...second, ...third, ...fourth]
    expect(attempts).toHaveLength(4)
    for (const { id } of [...attempts, byHand.run]) {
      expect(await found(id)).toMatchObject({ parentId, workId })
      expect((await linksOf(id)).parent).toMatchObject({ id: parentId, run: { name: 'parent' } })
    }
    expect((await linksOf(parentId)).children).toMatchObject([
      { workId, name: 'child', label: 'child 1', startAfter: null, run: { id: byHand.run.id } },
    ])
  })

  it('names it while it runs, whether it has stored a batch or not, and once its worker is lost', async () => {
    await enqueueParent()
    const seen: unknown[] = []
    handleChild = async ({ run, batch }) => {
      seen.push((await found(run.id)).parentId)
      await batch(async () => ({ n: 1 }))
      seen.push((await found(run.id)).parentId)
    }
    const [{ id: parentId }] = only(await test.drain(), parent) as [TestRun]
    expect(seen).toEqual([parentId, parentId])

    const own = open()
    handleChild = async ({ run }) => {
      if (run.attempt > 1) return
      await own.query(
        `with gone as (insert into "JobWorker" ("id") values ('gone')) update "JobClaim" set "workerId" = 'gone'`,
      )
      await rescueLostRuns({ database: own, log, now: test.now, workerId: 'w1' })
      seen.push(await found(run.id))
    }
    await enqueueParent()
    await test.drain().catch(() => undefined)
    expect(seen.at(-1)).toMatchObject({ errorCode: 'worker_lost', parentId: expect.any(String) })
    expect(seen.at(-1)).not.toMatchObject({ parentId })
  })

  it('is listed by that run while it waits, runs and is to be retried, each piece once', async () => {
    const seen: unknown[] = []
    handleChild = async ({ payload, run }) => {
      if (payload.n === 1) throw new Error('broken')
      if (payload.n === 3) return
      const { children } = await linksOf((await found(run.id)).parentId!)
      seen.push(...children.map(({ run: its, startAfter }) => [its?.outcome, startAfter]))
    }
    await enqueueParent(3)
    const runs = await test.drain()
    expect(seen).toEqual([
      ['failed', expect.any(String)],
      ['running', null],
      [undefined, expect.any(String)],
    ])
    const { children, areChildrenCut } = await linksOf(only(runs, parent)[0]!.id)
    expect(children.map(({ run }) => run?.outcome)).toEqual(['failed', 'success', 'success'])
    expect(children[1]?.run).toEqual({
      ...{ id: expect.any(String), name: 'child', label: 'child 2', outcome: 'success' },
      startedAt: test.now().toISOString(),
      endedAt: test.now().toISOString(),
    })
    expect(areChildrenCut).toBe(false)
  })

  it('is listed up to 20, and says that there are more', async () => {
    options = { startAfter: new Date(test.now().getTime() + 60_000) }
    await enqueueParent(21)
    const [run] = await test.drain()
    expect(await linksOf(run!.id)).toMatchObject({
      areChildrenCut: true,
      children: Array.from({ length: 20 }, (_, at) => ({ label: `child ${at + 1}`, run: null })),
    })
  })

  it('is what a program enqueues no more once that has replaced it', async () => {
    options = {
      uniqueKey: 'one',
      onConflict: 'replace',
      startAfter: new Date(test.now().getTime() + 60_000),
    }
    await enqueueParent()
    const [run] = await test.drain()
    expect((await linksOf(run!.id)).children).toHaveLength(1)
    await test.enqueueNow(child, { n: 2 }, options)
    expect((await linksOf(run!.id)).children).toEqual([])
  })
})

it('what a program enqueues says what that calls itself, in which trace, and with which key', async () => {
  const traceId = 'ab'.repeat(16)
  const producer = createJobsClient({
    databaseUrl: database.url,
    schema: test.schema,
    log,
    traceEnqueue: (_, put) => put({ traceparent: `00-${traceId}-${'cd'.repeat(8)}-01` }),
  })
  onTestFinished(() => producer.stop())
  const enqueuedBy = 'request\n7\u001b'.padEnd(300, '7')
  await producer.enqueueNow(child, { n: 1 }, { enqueuedBy, uniqueKey: 'k' })
  await test.enqueueNow(child, { n: 2 })
  const [first, second] = await test.drain()
  const said = (await found(first!.id)).enqueuedBy!
  expect(said).toMatch(/^request 7.7+…$/)
  expect(said).toHaveLength(201)
  expect(await found(first!.id)).toMatchObject({ traceId, uniqueKey: 'k', parentId: null })
  expect(await found(second!.id)).toMatchObject({
    ...{ traceId: null, uniqueKey: null, parentId: null, enqueuedBy: null },
  })
  await expect(
    test.enqueueNow(child, { n: 3 }, { enqueuedBy: 7 as unknown as string }),
  ).rejects.toThrow(/enqueuedBy/)
})

describe('what a person has done again', () => {
  it('names the run and the person, as that run does in turn', async () => {
    handleChild = fail
    await test.enqueueNow(child, { n: 1 })
    const [{ id }] = (await test.drain()) as [TestRun]
    const again = await test.runAgain(child, id, by)
    if (again.kind !== 'requested') throw new Error(again.kind)
    const [waiting] = (await linksOf(id)).children
    expect(waiting).toMatchObject({ workId: again.workId, run: null })
    handleChild = async () => undefined
    const [run] = await test.drain()
    expect((await linksOf(run!.id)).again).toMatchObject({
      ...{ id, isApproval: false, actor: by.actor, run: { outcome: 'failed' } },
    })
    expect((await linksOf(id)).children).toMatchObject([{ run: { id: run!.id } }])

    await open().query('delete from "JobRun" where "id" = $1', [id])
    expect((await linksOf(run!.id)).again).toMatchObject({ id, run: null })
  })

  it('names a run that was approved', async () => {
    due = 2
    await enqueueParent()
    const [{ id }] = (await test.drain()) as [TestRun]
    expect(await test.approveRun(id, by)).toMatchObject({ kind: 'approved' })
    const [run] = await test.drain()
    expect((await linksOf(run!.id)).again).toMatchObject({ id, isApproval: true, actor: by.actor })
    expect((await linksOf(id)).children).toMatchObject([{ run: { id: run!.id } }])
  })
})

describe('work with the same label', () => {
  it('is named, the nearest before and after, if it is other work of the job within ten minutes', async () => {
    const start = async (n: number) => {
      await test.enqueueNow(child, { n })
      return (await test.drain())[0]!.id
    }
    const early = await start(1)
    await test.advance({ minutes: 11 })
    const before = await start(1)
    await test.advance(3_000)
    handleChild = async ({ run }) => {
      if (run.attempt === 1) throw new Error('broken')
    }
    const failed = await start(1)
    await test.advance(1_000)
    const [retried] = await test.drain()
    handleChild = async () => undefined
    await start(2)
    await test.advance(1_000)
    const after = await start(1)
    await test.run(child, { n: 1 }, { dryRun: true })
    await test.advance({ minutes: 11 })
    const late = await start(1)

    const near = async (id: string) => (await linksOf(id)).sameLabel.map((run) => run.id)
    expect(await near(failed)).toEqual([before, after])
    expect(await near(retried!.id)).toEqual([before, after])
    expect(await near(early)).toEqual([])
    expect(await near(late)).toEqual([])
    expect(await near(before)).toEqual([failed])
  })
})

it('reads little of a table with many runs', async () => {
  const own = open()
  const [id, label] = [uuid(), 'common']
  await own.query(
    `insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "workerId", "label", "workId", "parentId")
     select gen_random_uuid(), 'child', 'success', 'queue', now() - n * interval '1 ms', now(), 'w', $2, gen_random_uuid(),
       case when n % 2 = 0 then $1::uuid else gen_random_uuid() end
     from generate_series(1, 60000) n`,
    [id, label],
  )
  await own.query(
    `insert into "JobWork" ("id", "name", "bytes", "payload") select gen_random_uuid(), 'child', 2, '{}' from generate_series(1, 60000)`,
  )
  await own.query('analyze "JobRun", "JobWork"')
  const startedAt = new Date().toISOString()
  const times = { startedAt, endedAt: null }
  const run = { id, name: 'child', label, workId: id, parentId: null, dryRun: false, ...times }
  await own.transaction(async (tx) => {
    expect(await readRunLinks(readerOf(tx), run)).toMatchObject({ areChildrenCut: true })
    const { rows } = await tx.query<{ read: number }>(
      `select sum(coalesce(idx_tup_fetch, 0) + seq_tup_read)::int as "read" from pg_stat_xact_user_tables
       where schemaname = $1 and relname in ('JobRun', 'JobWork')`,
      [test.schema],
    )
    expect(rows[0]!.read).toBeLessThan(31_000)
  })
})
