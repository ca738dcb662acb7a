import { createProxy, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { watchChanges } from '../../src/client/index.ts'
import { openTestRuntime } from '../openTestRuntime.ts'

it('notices a connection that has lost its other end without a word, and says what may have been missed', async () => {
  const runtime = await openTestRuntime([])
  const server = new URL(runtime.url)
  const proxy = await createProxy(Number(server.port))
  server.port = String(proxy.port)
  let gaps = 0
  const watch = watchChanges({
    databaseUrl: server.href,
    log: runtime.log,
    onChange: () => undefined,
    onGap: () => gaps++,
    probeMs: 100,
  })
  try {
    await waitFor(() => watch.isLasting())
    proxy.forget()
    await waitFor(() => gaps > 0, { timeoutMs: 20_000 })
    expect(gaps).toBe(1)
  } finally {
    await watch.close()
    proxy.close()
    await runtime.close()
  }
})
