import { waitFor } from '@roundsman/testing'
import { expect, test } from 'vitest'
import { defineJob, type RunContext } from '../../src/index.ts'
import type { Worker } from '../../src/worker.ts'
import { readWorkStates } from '../readWorkStates.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

type Context = RunContext<Record<string, never>, unknown>

const bad = defineJob({ name: 'bad', description: 'Misbehaves when it is told to stop.' })
const innocent = defineJob({ name: 'innocent', description: 'Runs beside it.' })
const jobs = [bad, innocent] as const

const { runtime, client } = useClientRuntime({ cleared: [] })
let worker: Worker

/** Resolves when both jobs are under way. */
async function startBoth(handlers: {
  bad: (context: Context) => Promise<void>
  innocent: (context: Context) => Promise<void>
}): Promise<{ badRunId: string; fatal: unknown[] }> {
  const fatal: unknown[] = []
  const started: string[] = []
  let badRunId = ''
  await client.enqueueNow(bad, {})
  await client.enqueueNow(innocent, {})
  worker = await startTestWorker(runtime, {
    jobs,
    onFatal: (error) => void fatal.push(error),
    handlers: {
      async bad(context: Context) {
        badRunId = context.run.id
        const ended = handlers.bad(context)
        started.push('bad')
        await ended
      },
      async innocent(context: Context) {
        const ended = handlers.innocent(context)
        started.push('innocent')
        await ended
      },
    },
  })
  await waitFor(() => started.length === 2)
  return { badRunId, fatal }
}

const endOf = async (name: string) =>
  (
    await runtime.rows<{ status: string; code: string | null }>(
      `select "status", "details" -> 'error' ->> 'code' as code from "JobRun" where "name" = $1`,
      [name],
    )
  )[0]

test.each([
  [
    'throws',
    () => {
      throw new Error('the listener failed')
    },
  ],
  ['rejects', async () => Promise.reject(new Error('the listener failed'))],
])('a listener that %s when its run is cancelled ends nothing else', async (_, listener) => {
  const release = Promise.withResolvers<void>()
  const { badRunId, fatal } = await startBoth({
    bad: (context) =>
      new Promise((resolve) => {
        // Handlers pass on copies of their context.
        const { signal } = { ...context }
        // oxlint-disable-next-line typescript/no-misused-promises -- that it may be asynchronous is the point
        signal.addEventListener('abort', listener)
        signal.addEventListener('abort', () => resolve())
      }),
    innocent: () => release.promise,
  })
  await client.cancelRun(badRunId, { actor: 'somebody', reason: 'a test' })
  await waitFor(() =>
    runtime.lines.some(({ msg }) =>
      /^(a handler left an error|an error belongs)/.test(String(msg)),
    ),
  )
  expect(worker.isReady()).toBe(true)
  release.resolve()
  await waitFor(async () => (await endOf('innocent'))?.status === 'success')
  expect(fatal).toEqual([])
})

test('what a handler does to the reason that it was stopped for changes no other end', async () => {
  const stop = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  await startBoth({
    bad: ({ signal }) =>
      stop(signal).catch((reason: unknown) => {
        throw Object.assign(reason as Error, { code: 'mine', message: 'mine', retryable: false })
      }),
    innocent: ({ signal }) => stop(signal),
  })
  await worker.stop({ drainTimeoutMs: 0 })
  expect(await endOf('innocent')).toEqual({ status: 'failed', code: 'drained' })
  expect(await endOf('bad')).toEqual({ status: 'failed', code: 'drained' })
  expect(await readWorkStates(runtime.rows)).toEqual(['retry', 'retry'])
})
