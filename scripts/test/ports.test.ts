import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { awaitPorts, type AwaitPortsOptions } from '../start/awaitPorts.ts'
import { findPortProblems } from '../start/findPortProblems.ts'
import { findFreePort } from '@roundsman/local-postgres'

const command = 'npx -y pnpm@12 start'
const host = '127.0.0.1'
let servers: Server[] = []

afterEach(async () => {
  await Promise.all(servers.map(close))
  servers = []
})

test('free ports are no problem', async () => {
  expect(await find(await findFreePort(), await findFreePort())).toEqual([])
})

test('every taken port is named with a remedy that can be copied', async () => {
  const [port, workerPort] = [await occupy(200), await occupy(200)]
  const problems = await find(port, workerPort)
  expect(problems).toHaveLength(2)
  expect(problems[0]).toContain(`PORT: port ${port} is taken`)
  expect(problems[0]).toContain(`PORT=${port > 65_000 ? port - 100 : port + 100} ${command}`)
  expect(problems[1]).toContain(`WORKER_PORT: port ${workerPort} is taken`)
})

test('one port for both is refused', async () => {
  const port = await findFreePort()
  expect(await find(port, port)).toEqual([
    expect.stringMatching(/^WORKER_PORT: \d+ is what PORT names already/),
  ])
})

test('a taken port of the inbox is named, on its own address', async () => {
  const port = await occupy(200)
  const problems = await findPortProblems({
    host: '127.0.0.2',
    ports: [{ variable: 'INBOX_PORT', port, host }],
    command,
  })
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(`^INBOX_PORT: port ${port} is taken .*INBOX_PORT=\\d+ ${command}`),
  ])
})

test('an address of another machine is one problem, of HOST', async () => {
  const ports = wanted(await findFreePort(), await findFreePort())
  const problems = await findPortProblems({ host: '192.0.2.1', ports, command })
  expect(problems.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^HOST: 192\.0\.2\.1 is not an address of this machine/),
  ])
})

test('waits for an earlier start that is finishing its work', async () => {
  const port = await occupy(503)
  let waits = 0
  await awaitPorts({
    ...(await options(port)),
    onWait: () => {
      waits += 1
      void Promise.all(servers.map(close))
    },
  })
  expect(waits).toBe(1)
})

test('does not wait for a server that is not', async () => {
  const port = await occupy(200)
  await expect(awaitPorts(await options(port))).rejects.toThrow(`PORT: port ${port} is taken`)
})

test('stops waiting when it is asked to', async () => {
  const port = await occupy(503)
  const stop = new AbortController()
  const waiting = awaitPorts({
    ...(await options(port)),
    signal: stop.signal,
    onWait: () => stop.abort(),
  })
  await expect(waiting).rejects.toThrow('abort')
})

async function find(port: number, workerPort: number): Promise<string[]> {
  const problems = await findPortProblems({ host, ports: wanted(port, workerPort), command })
  return problems.map(({ message }) => message)
}

async function options(port: number): Promise<AwaitPortsOptions> {
  return {
    host,
    ports: wanted(port, await findFreePort()),
    command,
    readyUrls: [`http://${host}:${port}/health/ready`],
    drainTimeoutMs: 20_000,
    onWait: () => undefined,
    signal: new AbortController().signal,
  }
}

function wanted(port: number, workerPort: number) {
  return [
    { variable: 'PORT' as const, port },
    { variable: 'WORKER_PORT' as const, port: workerPort },
  ]
}

async function occupy(status: number): Promise<number> {
  const server = createServer((_request, response) => response.writeHead(status).end())
  servers.push(server)
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
}
