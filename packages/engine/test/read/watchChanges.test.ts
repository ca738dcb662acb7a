// Not quick: waits until silence is noticed.
import { createProxy, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { watchChanges } from '../../src/read/watchChanges.ts'
import { openTestRuntime } from '../openTestRuntime.ts'

it('notices a connection that has lost its other end without a word, and says what may have been missed', async () => {
  let gaps = 0
  const { watch, proxy, close } = await open(() => gaps++, 100)
  try {
    await waitFor(() => watch.isLasting())
    proxy.forget()
    await waitFor(() => gaps > 0, { timeoutMs: 20_000 })
    expect(gaps).toBe(1)
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

async function open(onGap: () => void, probeMs: number) {
  const runtime = await openTestRuntime([])
  const server = new URL(runtime.url)
  const proxy = await createProxy(Number(server.port))
  server.port = String(proxy.port)
  const watch = watchChanges({
    schema: 'public',
    databaseUrl: server.href,
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
