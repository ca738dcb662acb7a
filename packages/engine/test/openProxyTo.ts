import { createProxy, type Proxy } from '@roundsman/testing'

/** Opens a network between a client, which is given the address returned, and the server of a database. */
export async function openProxyTo(databaseUrl: string): Promise<{ proxy: Proxy; url: string }> {
  const url = new URL(databaseUrl)
  const proxy = await createProxy(Number(url.port))
  url.port = String(proxy.port)
  return { proxy, url: url.href }
}
