// Not quick: waits for answers that never come.
import { getEventListeners } from 'node:events'
import type { Proxy } from '@roundsman/testing'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

const parcel = defineJob({ name: 'parcel' })

const runtime = useTestRuntime()
let proxy: Proxy
let client: JobsClient
let workId: string

/** A client whose connection says nothing any more, as the server that each further one reaches. */
beforeEach(async () => {
  const opened = await openProxyTo(runtime.url)
  proxy = opened.proxy
  client = createJobsClient({ schema: 'public', databaseUrl: opened.url, log: runtime.log })
  await client.start()
  ;({ workId } = await runtime.prisma.$transaction((tx) => client.enqueue(tx, parcel, {})))
  await client.result(parcel, workId, { timeoutMs: 0 })
  proxy.goHalfOpen()
})

afterEach(async () => {
  await client.stop()
  proxy.close()
})

// The engine's own connections wait for an answer for 35 s.
const BOUND = { timeout: 20_000 }

it('waits for no answer beyond the time that its caller has', BOUND, async () => {
  await expect(client.result(parcel, workId, { timeoutMs: 100 })).rejects.toThrow(
    'Query read timeout',
  )
})

it('rejects with the reason of a signal, also while it waits for an answer', BOUND, async () => {
  const stop = new AbortController()
  const result = client.result(parcel, workId, { timeoutMs: Infinity, signal: stop.signal })
  stop.abort(new Error('not wanted any more'))
  await expect(result).rejects.toThrow('not wanted any more')
  expect(getEventListeners(stop.signal, 'abort')).toEqual([])
})
