// Not quick: waits until silence is noticed.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { createJobsClient, type JobsClient } from '../../src/client.ts'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { openTestRuntime } from '../openTestRuntime.ts'
import { openProxyTo } from '../openProxyTo.ts'

it('notices a connection that has lost its other end without a word, and says what may have been missed', async () => {
  let gaps = 0
  const { watch, proxy, close } = await open(() => gaps++, 100)
  try {
    await waitFor(() => watch.isLasting())
    // It goes on probing: what is lost later is noticed, too.
    for (const nth of [1, 2]) {
      const before = proxy.roundTrips()
      await waitFor(() => proxy.roundTrips() > before + 2, { message: 'several probes' })
      proxy.forget()
      await waitFor(() => gaps >= nth, { timeoutMs: 20_000, message: `gap ${nth}` })
      expect(gaps).toBe(nth)
    }
  } finally {
    await close()
  }
})

it('is closed also while its connection has no other end, and leaves none open', async () => {
  const { watch, proxy, close } = await open(() => undefined, 60_000)
  const sockets = () =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
  try {
    await waitFor(() => watch.isLasting())
    proxy.forget()
    const before = sockets()
    await watch.close()
    expect(await waitFor(() => sockets() < before)).toBe(true)
  } finally {
    await close()
  }
})

it('is forgotten by its client once it is closed, but not what it has found out', async () => {
  const runtime = await openTestRuntime()
  const client = createJobsClient({
    databaseUrl: runtime.url,
    schema: 'public',
    log: runtime.log,
  })
  try {
    const watched = await watchOnce(client)
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await waitFor(() => {
      collect()
      return watched.deref() === undefined
    })
    expect(client.areConnectionsLasting()).toBe(true)
  } finally {
    await client.stop()
    await runtime.close()
  }
})

/** Returns a reference to what only the watch, or somebody who keeps the watch, can hold. */
async function watchOnce(client: JobsClient): Promise<WeakRef<() => void>> {
  const onChange = () => undefined
  const watch = client.watchChanges({ onChange, onGap: () => undefined })
  await waitFor(() => watch.isLasting())
  await watch.close()
  return new WeakRef(onChange)
}

async function open(onGap: () => void, probeMs: number) {
  const runtime = await openTestRuntime()
  const { proxy, url } = await openProxyTo(runtime.url)
  const watch = watchChanges({
    schema: 'public',
    databaseUrl: url,
    log: runtime.log,
    onChange: () => undefined,
    onGap,
    probeMs,
  })
  const close = async () => {
    await watch.close()
    proxy.close()
    await runtime.close()
  }
  return { watch, proxy, close }
}
