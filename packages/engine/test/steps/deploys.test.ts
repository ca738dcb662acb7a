import { waitFor } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { defineJob, defineSignal, type DurableContext, type Job } from '../../src/index.ts'
import { listDeadLetters } from '../../src/client.ts'
import { openTestJobs } from '../../src/testing.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const { runtime, client } = useClientRuntime({ cleared: [] })

const before = defineJob({
  name: 'drip',
  steps: { nudge: {}, each: {}, old: { result: z.number() }, pause: {} },
})
const calls: string[] = []

/** Runs work until it sleeps, in the version before, of which nothing is left then. */
async function runBefore(pauseMs: number) {
  calls.length = 0
  const worker = await startTestWorker(runtime, {
    jobs: [before],
    version: '1.0',
    handlers: {
      async drip({ step }) {
        await step.run('nudge', ({ key }) => void calls.push(key))
        await step.run('each', () => 'b', { item: 'b' })
        await step.run('old', () => 5)
        await step.sleep('pause', pauseMs)
        throw new Error('the version before must not go on')
      },
    },
  })
  const { workId } = await client.enqueueNow(before, {})
  await waitFor(async () => (await statuses(workId)).includes('suspended'))
  await worker.stop()
  return workId
}

const statuses = (workId: string) =>
  runtime.column<string>('select "status" from "JobRun" where "workId" = $1 order by "startedAt"', [
    workId,
  ])
const letter = async () => (await listDeadLetters(client.reader, { limit: 1 })).deadLetters[0]
const hasEnded = (workId: string) => async () =>
  (await statuses(workId)).some((status) => status === 'success' || status === 'failed')

it('work that sleeps goes on with code that has renamed, added, removed and reordered steps', async () => {
  const workId = await runBefore(500)
  const after = defineJob({
    name: 'drip',
    steps: { remind: { was: ['nudge'] }, each: {}, pause: {}, added: {} },
  })
  const seen: unknown[] = []
  await startTestWorker(runtime, {
    jobs: [after],
    handlers: {
      async drip({ step }) {
        seen.push(await step.run('each', () => 'again', { item: 'b' }))
        seen.push(await step.run('remind', () => 'again'))
        await step.sleep('pause', 60_000)
        seen.push(await step.run('added', () => 'added'))
      },
    },
  })

  await waitFor(hasEnded(workId))
  expect(await statuses(workId)).toEqual(['suspended', 'success'])
  expect(seen.slice(-3)).toEqual(['b', null, 'added'])
  expect(calls).toHaveLength(1)
})

it('a renamed step that has failed is called again under its first key', async () => {
  const keys: string[] = []
  const fails = (
    job: Job<'key', Record<string, never>, never, object>,
    name: string,
    times: number,
  ) =>
    startTestWorker(runtime, {
      jobs: [job],
      handlers: {
        async key({
          step,
        }: {
          step: { run: (name: string, work: (call: { key: string }) => void) => Promise<unknown> }
        }) {
          await step.run(name, ({ key }) => {
            keys.push(key)
            if (keys.length <= times) throw new Error('not yet')
          })
        },
      } as never,
    })
  const retry = { limit: 3, delayMs: 1_000 }
  const first = defineJob({ name: 'key', retry, steps: { nudge: {} } })
  const worker = await fails(first, 'nudge', 1)
  const { workId } = await client.enqueueNow(first, {})
  await waitFor(hasEnded(workId))
  await worker.stop()
  await fails(defineJob({ name: 'key', retry, steps: { remind: { was: ['nudge'] } } }), 'remind', 1)

  await waitFor(async () => (await statuses(workId)).includes('success'))
  expect(keys).toHaveLength(2)
  expect(keys[1]).toBe(keys[0])
})

it('two versions beside each other do each step once, under one key, where one has renamed it', async () => {
  const items = ['a', 'b', 'c', 'd', 'e', 'f']
  const old = defineJob({ name: 'beside', steps: { nudge: {}, pause: {} } })
  const renamed = defineJob({ name: 'beside', steps: { remind: { was: ['nudge'] }, pause: {} } })
  const called: string[] = []
  const begin = (job: Job<'beside', Record<string, never>, never, object>, name: string) =>
    startTestWorker(runtime, {
      jobs: [job],
      concurrency: 2,
      handlers: {
        async beside({ step }: never) {
          const { run, sleep } = step as DurableContext<
            unknown,
            unknown,
            Record<string, unknown>
          >['step']
          for (const item of items) {
            await run(name, ({ key }) => void called.push(`${key} ${name}`), { item })
            await sleep('pause', 50, { item })
          }
        },
      } as never,
    })
  await begin(old, 'nudge')
  await begin(renamed, 'remind')
  const work = await client.enqueueManyNow(
    old,
    Array.from({ length: 10 }, () => ({ payload: {} })),
  )

  const ended = () =>
    runtime.value<number>(`select count(*)::int from "JobRun" where "status" = 'success'`)
  await waitFor(async () => (await ended()) === work.length, { timeoutMs: 30_000 })
  const keys = called.map((one) => one.split(' ')[0])
  expect(called).toHaveLength(10 * items.length)
  expect(new Set(keys).size).toBe(10 * items.length)
  expect(new Set(called.map((one) => one.split(' ')[1]))).toEqual(new Set(['nudge', 'remind']))
  expect(await runtime.column('select distinct "name" from "JobStep"')).toEqual(
    expect.arrayContaining(['nudge', 'pause']),
  )
}, 40_000)

const changed = ['run', 'sleep', 'waitFor', 'map', 'invoke'] as const
it.each(
  changed.flatMap((from) => changed.flatMap((to) => (from === to ? [] : [[from, to] as const]))),
)('a step that was a %s is refused as a %s, before it is misread', async (from, to) => {
  const signal = defineSignal({ name: 'go' })
  const child = defineJob({ name: 'child' })
  const job = defineJob({ name: 'parent', retry: { limit: 0 }, steps: { s: {}, nap: {} } })
  let how: (typeof changed)[number] = from
  let isCalled = false
  const test = await openTestJobs({
    ...{ databaseUrl: runtime.url, client: runtime.prisma, jobs: [job, child] },
    handlers: {
      child: async () => undefined,
      async parent({ step }) {
        if (how === 'run') await step.run('s', () => void (isCalled = how === to))
        else if (how === 'sleep') await step.sleep('s', 1)
        else if (how === 'waitFor') await step.waitFor('s', signal, { key: 'a' })
        else if (how === 'map') await step.map('s', child, [{}])
        else await step.invoke('s', {}, child, {})
        await step.sleep('nap', { hours: 1 })
      },
    },
  })
  onTestFinished(() => test.close())
  await test.signalNow(signal, { key: 'a', id: '1' })
  const { workId } = await test.enqueueNow(job, {})
  await test.drain()
  await test.advance({ minutes: 1 })
  await test.drain()
  how = to
  await test.advance({ hours: 1 })
  const ended = await test.drain()

  expect(ended.map(({ error }) => error?.code)).toEqual(['step_kind'])
  expect(isCalled).toBe(false)
  expect((await listDeadLetters(test.reader, { limit: 1 })).deadLetters[0]?.workId).toBe(workId)
})

it('a version without steps leaves work that has some to one that has them', async () => {
  const workId = await runBefore(60_000)
  let isCalled = false
  const plain = defineJob({ name: 'drip' })
  const worker = await startTestWorker(runtime, {
    jobs: [plain],
    handlers: { drip: async () => void (isCalled = true) },
  })
  await runtime.rows(`update "JobWork" set "dueAt" = now() where "id" = $1`, [workId])
  await waitFor(async () => (await statuses(workId)).includes('failed'))
  await worker.stop()

  expect(isCalled).toBe(false)
  expect(await runtime.rows(`select "errorCode" from "JobRun" where "status" = 'failed'`)).toEqual([
    { errorCode: 'steps_missing' },
  ])
  expect(await runtime.rows('select "failures", "resumptions" from "JobWork"')).toEqual([
    { failures: 0, resumptions: 1 },
  ])
})

it('a stored result that the schema of today refuses ends the work before any code, and names who wrote it', async () => {
  const workId = await runBefore(10)
  const narrower = defineJob({
    name: 'drip',
    steps: { nudge: {}, each: {}, old: { result: z.object({ amount: z.number() }) }, pause: {} },
  })
  let isCalled = false
  const worker = await startTestWorker(runtime, {
    jobs: [narrower],
    handlers: { drip: async () => void (isCalled = true) },
  })
  await waitFor(hasEnded(workId))
  expect(await letter()).toMatchObject({
    workId,
    error: {
      code: 'step_result_invalid',
      message: expect.stringMatching(/step "old".*version 1\.0 wrote.*expected object/) as string,
    },
  })
  expect(isCalled).toBe(false)
  await worker.stop()

  // The version that takes both goes on from there.
  const wider = defineJob({ name: 'drip', steps: { nudge: {}, each: {}, old: {}, pause: {} } })
  await startTestWorker(runtime, { jobs: [wider], handlers: { drip: async () => undefined } })
  await client.redriveDeadLetters(
    { ids: [workId] },
    { actor: 'olga@example.com', reason: 'mended' },
  )
  await waitFor(async () => (await statuses(workId)).includes('success'))
})
