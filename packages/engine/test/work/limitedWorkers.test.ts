// Not quick: several workers share limits.
import { waitFor } from '@roundsman/testing'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createJobsClient } from '../../src/client.ts'
import { createWorkerThatWaits } from '../../src/worker/createWorker.ts'
import { defineJob, defineLimit } from '../../src/index.ts'
import { readLimitNews, readWakeUp, WORK_CHANNEL } from '../../src/database/channels.ts'
import { createWorker, runOnce, type Worker } from '../../src/worker.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const stripe = defineLimit({ name: 'stripe', global: 3 })
const sync = defineJob({ name: 'sync', limits: [stripe] })
const mail = defineJob({ name: 'mail', limits: [stripe] })
const fair = defineJob({
  name: 'fair',
  payload: z.object({ tenant: z.string() }),
  concurrency: { global: 4, perKey: 2 },
  partition: { key: ({ tenant }) => tenant },
})
const jobs = [sync, mail, fair]
const runtime = useTestRuntime({
  cleared: ['JobLimit', 'JobKey', 'JobThrottle'],
})

let workers: Worker[] = []
const open: (() => void)[] = []

afterEach(async () => {
  for (const end of open.splice(0)) end()
  await Promise.all(workers.map((worker) => worker.stop({ drainTimeoutMs: 0 })))
  // Runs that began in the room of those that ended.
  for (const end of open.splice(0)) end()
  workers = []
})

const insert = (name: string, count: number, key: string | null = null) =>
  runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "payload", "key", "label")
     select gen_random_uuid(), $1, 2, $4::jsonb, $3, $3 from generate_series(1, $2::int) n`,
    [name, count, key, JSON.stringify(name === 'fair' ? { tenant: key ?? '' } : {})],
  )

type Perform = (tenant: string) => Promise<void>
const optionsOf = (perform: Perform) => ({
  ...runtime.workerOptions,
  jobs,
  concurrency: 20,
  handlers: {
    sync: async () => await perform('sync'),
    mail: async () => await perform('mail'),
    fair: async ({ payload }: { payload: { tenant: string } }) => await perform(payload.tenant),
  },
})

async function start(count: number, perform: Perform): Promise<void> {
  workers = Array.from({ length: count }, () => createWorker(optionsOf(perform)))
  await Promise.all(workers.map((worker) => worker.start()))
}

/** A worker that looks for nothing by itself: it goes by what others tell it. */
async function startWithoutRounds(
  job: 'sync' | 'mail' | 'fair',
  perform: Perform = untilEnded,
): Promise<Worker> {
  const worker = createWorkerThatWaits(
    { roundMs: 3_600_000 },
    { ...optionsOf(perform), only: [job] },
  )
  workers.push(worker)
  await worker.start()
  return worker
}

/** Runs that go on until the test ends them. */
const untilEnded = async () => await new Promise<void>((resolve) => void open.push(resolve))
const countEnded = () =>
  runtime.value<number>(`select count(*)::int as n from "JobRun" where "status" = 'success'`)

describe('a limit over all workers', () => {
  it('lets so many run, of whatever job, and the next once one of them has ended', async () => {
    await insert('sync', 10)
    await insert('mail', 10)
    await start(2, untilEnded)
    await waitFor(() => open.length === 3)
    for (let ended = 1; ended <= 17; ended++) {
      open.shift()?.()
      await waitFor(() => open.length === 3)
      const { length } = await runtime.rows(`select from "JobRunAll" where "status" = 'running'`)
      expect(length).toBeLessThanOrEqual(3)
    }
    for (const end of open.splice(0)) end()
    await waitFor(async () => (await countEnded()) === 20)
  })
})

describe('a worker without rounds', () => {
  /** The jobs of which workers have said that their work waits for a limit. */
  let waiting: string[]
  let listener: pg.Client

  beforeEach(async () => {
    waiting = []
    listener = new pg.Client({ connectionString: runtime.url })
    await listener.connect()
    listener.on('notification', ({ payload = '' }) => {
      const news = readLimitNews(readWakeUp(payload)?.subject ?? '')
      if (news?.kind === 'waits') waiting.push(news.about)
    })
    await listener.query(`listen ${WORK_CHANNEL}`)
  })

  afterEach(() => listener.end())

  it('hears of room that a run of another worker and job leaves', async () => {
    await insert('sync', 3)
    await startWithoutRounds('sync')
    await waitFor(() => open.length === 3)
    await insert('mail', 1)
    await startWithoutRounds('mail')
    open.shift()?.()
    await waitFor(() => open.length === 3)
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
  })

  it('hears of a key of which a worker that stops has run as many as may be', async () => {
    await insert('fair', 2, 'a')
    const first = await startWithoutRounds('fair')
    await waitFor(() => open.length === 2 && waiting.includes('fair'))
    await insert('fair', 1, 'a')
    const stopping = first.stop({ drainTimeoutMs: 20_000 })
    waiting = []
    await startWithoutRounds('fair')
    await waitFor(() => waiting.includes('fair'))
    open.shift()?.()
    await waitFor(() => open.length === 2)
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
    for (const end of open.splice(0)) end()
    await stopping
  })

  it('hears that a limit or a key may have more', async () => {
    const client = createJobsClient({ schema: 'public', databaseUrl: runtime.url })
    await client.start()
    await insert('sync', 4)
    await insert('fair', 3, 'a')
    await startWithoutRounds('sync')
    await startWithoutRounds('fair')
    await waitFor(() => open.length === 5)
    const by = { actor: 'ann', reason: 'more' }
    await client.limits.set({ limit: stripe }, { global: 4 }, by)
    await waitFor(() => open.length === 6)
    await client.keys.set(fair, 'a', { perKey: 3 }, by)
    await waitFor(() => open.length === 7)
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
    await client.stop()
  })

  it('gets a turn while another one fills the limit with a backlog of its own', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "setGlobal") values ('stripe', 1)`)
    await insert('sync', 500)
    const begun: string[] = []
    const perform = async (name: string) => {
      begun.push(name)
      await untilEnded()
    }
    await startWithoutRounds('sync', perform)
    await waitFor(() => open.length === 1)
    await insert('mail', 1)
    await startWithoutRounds('mail', perform)
    await waitFor(() => waiting.includes('mail'))
    // Each time one of them hears of the other's end too late.
    for (let ended = 0; ended < 200 && !begun.includes('mail'); ended++) {
      open.shift()?.()
      await waitFor(() => open.length === 1)
    }
    expect(begun).toContain('mail')
  })
})

describe('a run by hand', () => {
  it('takes a slot like any other, and is refused where there is none', async () => {
    const options = runtime.runOptions
    const run = async (tenant: string) =>
      await runOnce({
        ...options,
        job: fair,
        payload: { tenant },
        handler: async () => undefined,
      })
    await insert('fair', 5, 'busy')
    await start(1, untilEnded)
    await waitFor(() => open.length === 2)
    expect(await run('busy')).toEqual({
      kind: 'alreadyRunning',
      runId: null,
      workerId: null,
      fullLimit: { name: 'fair', key: 'busy' },
    })
    expect(await run('idle')).toMatchObject({ kind: 'ended', run: { status: 'success' } })
  })

  it('keeps to limits that no worker has registered yet', async () => {
    const lonely = defineJob({ name: 'lonely', concurrency: { global: 1 } })
    const options = { ...runtime.runOptions, job: lonely }
    const { promise: isOver, resolve: end } = Promise.withResolvers<undefined>()
    const { promise: hasBegun, resolve: begin } = Promise.withResolvers<undefined>()
    const first = runOnce({
      ...options,
      handler: async () => {
        begin(undefined)
        await isOver
      },
    })
    await hasBegun
    expect(await runOnce({ ...options, handler: async () => undefined })).toMatchObject({
      kind: 'alreadyRunning',
      fullLimit: { name: 'lonely', key: null },
    })
    end(undefined)
    expect(await first).toMatchObject({ kind: 'ended' })
  })

  it('starts once others have released the rows of its limits', async () => {
    const options = { ...runtime.runOptions, job: sync, handler: async () => undefined }
    await runOnce(options)
    let ended: ReturnType<typeof runOnce> | undefined
    await runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobLimit" for update')
      ended = runOnce(options)
      ended.catch(() => undefined)
      await waitFor(() =>
        runtime.lines.some(({ msg }) => /once others have released/.test(String(msg))),
      )
    })
    expect(await ended).toMatchObject({ kind: 'ended' })
  })

  it('keeps to a shared limit that knows other jobs alone, and changes no numbers of it', async () => {
    const other = defineJob({ name: 'other', limits: [defineLimit({ name: 'stripe', global: 9 })] })
    const read = () =>
      runtime.rows(`select "name", "global", "jobs" from "JobLimit" order by "name"`)
    await insert('sync', 3)
    await start(1, untilEnded)
    await waitFor(() => open.length === 3)
    const before = await read()
    await runOnce({ ...runtime.runOptions, job: sync, handler: async () => undefined })
    expect(await read()).toEqual(before)
    const options = { ...runtime.runOptions, job: other, handler: async () => undefined }
    expect(await runOnce(options)).toMatchObject({ fullLimit: { name: 'stripe', key: null } })
    expect(await read()).toContainEqual({
      name: 'stripe',
      global: 3,
      jobs: ['mail', 'other', 'sync'],
    })
  })

  it('names the shared limit that has no room', async () => {
    await runtime.rows(`insert into "JobLimit" ("name", "setGlobal") values ('stripe', 2)`)
    await insert('sync', 2)
    await start(1, untilEnded)
    await waitFor(() => open.length === 2)
    const options = { ...runtime.runOptions, job: sync }
    expect(await runOnce({ ...options, handler: async () => undefined })).toMatchObject({
      kind: 'alreadyRunning',
      fullLimit: { name: 'stripe', key: null },
    })
  })

  it('takes the slot of a run of another job under the same limit whose worker has died', async () => {
    const options = runtime.runOptions
    await runtime.rows(
      `insert into "JobLimit" ("name", "global", "jobs") values ('crm', 1, array['fair', 'mail'])`,
    )
    await runtime.rows(`insert into "JobWorker" ("id", "lanes") values ('gone', '{}')`)
    await runtime.rows(
      `insert into "JobClaim" ("id", "name", "workerId", "startedAt", "createdAt", "expiresAt", "runIds", "enqueuedAts", "limits", "place")
       values (gen_random_uuid(), 'mail', 'gone', now() - interval '1 h', now() - interval '1 h', 'infinity', array[gen_random_uuid()], array[now()], '{crm}', 5)`,
    )
    const handler = async () => undefined
    const ended = await runOnce({ ...options, job: fair, payload: { tenant: 'a' }, handler })
    expect(ended).toMatchObject({ kind: 'ended' })
  })
})

describe('work from before its job had keys', () => {
  it('is taken all the same, with a share of its own', async () => {
    await insert('fair', 30)
    await insert('fair', 5, 'a')
    await start(1, async () => undefined)
    await waitFor(async () => (await countEnded()) === 35, { timeoutMs: 15_000 })
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
  })
})

describe('a key that people have paused', () => {
  it.each(['infinity', '1 hour'])('for %s is taken once they resume it', async (until) => {
    await start(1, async () => undefined)
    await runtime.rows(
      `insert into "JobKey" ("name", "key", "pausedUntil") values
        ('fair', 'still', case when $1 = 'infinity' then 'infinity' else now() + interval '1 hour' end)`,
      [until],
    )
    await insert('fair', 3, 'still')
    await insert('fair', 1, 'other')
    await waitFor(async () => (await countEnded()) === 1)
    await runtime.rows('delete from "JobKey"')
    await waitFor(async () => (await countEnded()) === 4)
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
  })
})

describe('a tenant with a hundred thousand pieces, before fifty with twenty', () => {
  it('holds none of them up, and leaves no slot empty', async () => {
    await insert('fair', 100_000, 'large')
    for (let n = 0; n < 50; n++) await insert('fair', 20, `small ${n}`)
    let [large, small] = [0, 0]
    await start(2, async (tenant) => void (tenant === 'large' ? large++ : small++))
    await waitFor(() => small === 1_000, { timeoutMs: 25_000 })
    // About as much as one of them, for each worker; and what it got while these were found.
    expect(large).toBeLessThan(1_000)
  })
})
