import { once } from 'node:events'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { openMonitor, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { expect, it, onTestFinished } from 'vitest'
import { createPingerWithin } from '../../src/run/createPinger.ts'
import type { ObservedRun, RunEnding } from '../../src/run/observer.ts'
import { OBSERVED_RUN } from '../observedRun.ts'

const JOB = OBSERVED_RUN.name
const RUN = { ...OBSERVED_RUN, trigger: 'schedule' as const }
const SUCCESS: RunEnding = { kind: 'success', durationMs: 12, details: null }

function open(url: URL, limits: Parameters<typeof createPingerWithin>[0] = {}) {
  const lines: string[] = []
  const outcomes: string[] = []
  const pinger = createPingerWithin(
    { retryDelayMs: 1, ...limits },
    {
      urls: new Map([[JOB, url]]),
      log: pino({ level: 'trace' }, { write: (line) => void lines.push(line) }),
      onOutcome: (_, event, outcome) => void outcomes.push(`${event} ${outcome}`),
    },
  )
  const run = (end: RunEnding, about: Partial<ObservedRun> = {}) => {
    const observation = pinger.observer.runStarted?.({ ...RUN, ...about })
    if (observation) observation.ended?.(end)
  }
  return { pinger, run, lines, outcomes }
}

it('tells of the start and then of the success, with counts and nothing that is a text', async () => {
  const monitor = await openMonitor()
  const { pinger, run } = open(monitor.url)
  run({
    kind: 'success',
    durationMs: 1_234,
    details: { cleaned: 3, batches: 1, oldest: 'somebody@example.com', nested: { n: 1 } },
  })
  await pinger.close()
  expect(monitor.pings).toEqual([
    'POST /check/start?rid=r1 attempt 1',
    'POST /check?rid=r1 success in 1234 ms, cleaned 3, batches 1, attempt 1',
  ])
})

it('tells of a failure by its code alone', async () => {
  const monitor = await openMonitor()
  const { pinger, run } = open(monitor.url)
  const error = { code: 'smtp_unavailable', message: 'refused by hunter2' }
  run({ kind: 'failed', durationMs: 5, details: { error }, code: error.code }, { attempt: 2 })
  await pinger.close()
  expect(monitor.pings[1]).toBe(
    'POST /check/fail?rid=r1 failed: smtp_unavailable in 5 ms, attempt 2',
  )
})

it('tells of a run whose worker died', async () => {
  const monitor = await openMonitor()
  const { pinger } = open(monitor.url)
  pinger.observer.runRescued?.({ ...RUN, id: 'r9', attempt: 4 })
  pinger.observer.runRescued?.({ ...RUN, dryRun: true })
  await pinger.close()
  expect(monitor.pings).toEqual(['POST /check/fail?rid=r9 failed: worker_lost, attempt 4'])
})

it('tells of a run whose work was given out again', async () => {
  const monitor = await openMonitor()
  const { pinger } = open(monitor.url)
  pinger.observer.runExpired?.({ ...RUN, id: 'r9', attempt: 1 })
  pinger.observer.runExpired?.({ ...RUN, dryRun: true })
  pinger.observer.runExpired?.({ ...RUN, name: 'pruneJobRuns' })
  await pinger.close()
  expect(monitor.pings).toEqual(['POST /check/fail?rid=r9 failed: expired, attempt 1'])
})

it('says nothing of dry runs, other jobs, runs that were lost, and of work that a drain gave back', async () => {
  const monitor = await openMonitor()
  const { pinger, run } = open(monitor.url)
  run(SUCCESS, { dryRun: true })
  run(SUCCESS, { name: 'pruneJobRuns' })
  run({ kind: 'lost', durationMs: 1 }, { id: 'lost' })
  run({ kind: 'failed', durationMs: 1, details: null, code: 'drained' }, { id: 'drained' })
  await pinger.close()
  expect(monitor.pings.toSorted()).toEqual([
    'POST /check/start?rid=drained attempt 1',
    'POST /check/start?rid=lost attempt 1',
  ])
})

it('keeps what the address says already', async () => {
  const monitor = await openMonitor()
  const { pinger, run } = open(new URL('/ping/key/slug/?create=1', monitor.url))
  run(SUCCESS)
  await pinger.close()
  expect(monitor.pings.map((ping) => ping.split(' ')[1])).toEqual([
    '/ping/key/slug/start?create=1&rid=r1',
    '/ping/key/slug/?create=1&rid=r1',
  ])
})

it.each([[500], ['reset' as const], [429]])(
  'tries again after %s, and tells in the same order',
  async (trouble) => {
    const monitor = await openMonitor()
    monitor.react((ping) => (ping <= 2 ? trouble : 200))
    const { pinger, run, outcomes } = open(monitor.url)
    run(SUCCESS)
    await pinger.close()
    expect(monitor.pings.map((ping) => ping.split('?')[0])).toEqual([
      'POST /check/start',
      'POST /check/start',
      'POST /check/start',
      'POST /check',
    ])
    expect(outcomes).toEqual(['start sent', 'success sent'])
  },
)

it('gives up on a monitor that answers no more, without naming its address', async () => {
  const monitor = await openMonitor()
  monitor.react('hang')
  const { pinger, run, lines, outcomes } = open(monitor.url, { timeoutMs: 300, attempts: 2 })
  run(SUCCESS)
  await pinger.close()
  expect(outcomes).toEqual(['start failed', 'success failed'])
  expect(monitor.pings).toHaveLength(4)
  expect(lines.map((line) => JSON.parse(line).reason)).toEqual(['TimeoutError', 'TimeoutError'])
  expect(lines.join('')).not.toMatch(/check|127\.0\.0\.1/)
})

it('does not ask again where it is told that there is no such check', async () => {
  const monitor = await openMonitor()
  monitor.react(404)
  const { pinger, run, lines } = open(monitor.url)
  run(SUCCESS)
  await pinger.close()
  expect(monitor.pings).toHaveLength(2)
  expect(JSON.parse(lines[0]!)).toMatchObject({ msg: 'ping failed', reason: 'status 404' })
})

it('does not read an answer that has no end', async () => {
  const monitor = await openMonitor()
  monitor.react('endless')
  const { pinger, run, outcomes } = open(monitor.url)
  run(SUCCESS)
  await pinger.close()
  expect(outcomes).toEqual(['start sent', 'success sent'])
})

it('says when nobody listens there', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const url = new URL(`http://127.0.0.1:${port}/check`)
  const { pinger, run, lines } = open(url, { attempts: 1 })
  run(SUCCESS)
  await pinger.close()
  expect(JSON.parse(lines[0]!)).toMatchObject({ reason: 'ECONNREFUSED' })
})

it('drops what would wait beyond its bound', async () => {
  const monitor = await openMonitor()
  const { pinger, outcomes, lines } = open(monitor.url, { maxWaiting: 20 })
  for (let n = 0; n < 50; n++) pinger.observer.runRescued?.({ ...RUN, id: `r${n}` })
  await pinger.close()
  expect(monitor.pings).toHaveLength(20)
  expect(outcomes.filter((outcome) => outcome === 'fail dropped')).toHaveLength(30)
  expect(lines).toHaveLength(1)
})

it('is closed in time while the monitor hangs', async () => {
  const monitor = await openMonitor()
  monitor.react('hang')
  const { pinger, run, outcomes } = open(monitor.url)
  run(SUCCESS)
  await waitFor(() => monitor.pings.length === 1)
  await pinger.close({ timeoutMs: 20 })
  expect(outcomes).toEqual(['start failed', 'success failed'])
})

it('sends no more at once than it may, also to pings that come while others end', async () => {
  const held: ServerResponse[] = []
  let underWay = 0
  let most = 0
  const server = createHttpServer((_request, response) => {
    most = Math.max(most, ++underWay)
    held.push(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { pinger } = open(
    new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/check`),
    {
      concurrency: 3,
    },
  )
  const send = (count: number) => {
    for (let i = 0; i < count; i += 1) pinger.observer.runRescued?.({ ...RUN, attempt: 1 })
  }
  const release = () => {
    for (const response of held.splice(0)) {
      underWay -= 1
      response.end('OK')
    }
  }
  send(6)
  for (let wave = 1; wave <= 4; wave += 1) {
    await waitFor(() => held.length >= 3)
    release()
    await waitFor(() => held.length >= 3)
    // Three are under way again, in places that ended pings have passed on.
    send(6)
  }
  const closed = pinger.close()
  const releasing = setInterval(release, 5)
  await closed
  clearInterval(releasing)
  expect(most).toBe(3)
})
