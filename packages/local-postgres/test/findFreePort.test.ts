import { createServer } from 'node:net'
import { once } from 'node:events'
import { expect, it } from 'vitest'
import { findFreePort } from '../src/findFreePort.ts'

it('is a port that can be listened on', async () => {
  const port = await findFreePort()
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  expect(server.address()).toMatchObject({ port })
  server.close()
})

it('says when there is no such address', async () => {
  await expect(findFreePort('192.0.2.1')).rejects.toThrow('EADDRNOTAVAIL')
})
