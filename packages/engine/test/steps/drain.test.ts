import { waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const { runtime, client } = useClientRuntime({ cleared: [] })

const export_ = defineJob({ name: 'export', steps: { read: {}, pause: {}, write: {} } })

it('a worker that stops ends durable runs after the step in process, and gives the work back at no cost', async () => {
  const calls: string[] = []
  const isReading = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const start = () =>
    startTestWorker(runtime, {
      jobs: [export_],
      handlers: {
        async export({ step }) {
          const pause = step.sleep('pause', { hours: 1 })
          const read = step.run('read', async () => {
            calls.push('read')
            isReading.resolve()
            await goOn.promise
          })
          await Promise.race([read, pause])
          await step.run('write', () => void calls.push('write'))
        },
      },
    })
  const worker = await start()
  const { workId } = await client.enqueueNow(export_, {})
  await isReading.promise
  const stopped = worker.stop()
  goOn.resolve()
  await stopped

  expect(calls).toEqual(['read'])
  expect(await runtime.rows('select "status", "errorCode" from "JobRun"')).toEqual([
    { status: 'failed', errorCode: 'drained' },
  ])
  expect(await runtime.rows('select "failures", "losses" from "JobWork"')).toEqual([
    { failures: 0, losses: 0 },
  ])
  // The wait beside it goes on from where it began.
  expect(await runtime.column(`select "name" from "JobStep" where "until" is not null`)).toEqual([
    'pause',
  ])
  await start()
  await waitFor(async () => (await runtime.column('select "id" from "JobWork"')).length === 0)
  await waitFor(async () => calls.includes('write'))
  expect(calls).toEqual(['read', 'write'])
  await waitFor(
    async () =>
      (await runtime.value(
        `select count(*)::int from "JobRun" where "workId" = '${workId}' and "status" = 'success'`,
      )) === 1,
  )
})

it('a step that fails while its worker stops is tried again after its own pause', async () => {
  const isReading = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  const job = defineJob({
    name: 'fetch',
    steps: { read: { retry: { limit: 3, delayMs: 600_000 } } },
  })
  const worker = await startTestWorker(runtime, {
    jobs: [job],
    handlers: {
      async fetch({ step }) {
        await step.run('read', async () => {
          isReading.resolve()
          await goOn.promise
          throw new Error('the service is away')
        })
      },
    },
  })
  await client.enqueueNow(job, {})
  await isReading.promise
  const stopped = worker.stop()
  goOn.resolve()
  await stopped

  expect(await runtime.rows('select "failures" from "JobStep"')).toEqual([{ failures: 1 }])
  expect(await runtime.value(`select "dueAt" > now() + interval '1 minute' from "JobWork"`)).toBe(
    true,
  )
})
