import { createAdmin } from '@roundsman/admin/internal'
import { defineJob } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { accessOf, log, openHost, type Host } from '@roundsman/testing/openHost'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { KINDS, openServers, type Kind } from './openServers.ts'

let host: Host
let served: Awaited<ReturnType<typeof openServers>>
let operations: readonly { method: string; path: string }[]
/** One with an ordinary name, and one for each word of an address that may be the name of a job. */
let names: readonly string[]

const ORDINARY = 'anOrdinaryJob'

beforeAll(async () => {
  host = await openHost()
  const { routes } = createAdmin({ client: host.client, jobs: [], authorize: () => null })
  const words = routes.flatMap(({ path }) => path.split('/').slice(2, 3))
  const identifiers = words.filter((word) => /^[a-z][A-Za-z0-9]*$/.test(word))
  names = [ORDINARY, ...new Set([...identifiers, 'schedules', 'constructor'])]
  operations = routes.filter(({ path }) => /^\/jobs\/(named\/)?:name/.test(path))
  const jobs = names.map((name) => defineJob({ name, schedule: { cron: '0 3 1 1 *' } }))
  // From then on they have schedules and queues.
  const handlers = Object.fromEntries(names.map((name) => [name, async () => undefined]))
  const worker = createWorker({
    databaseUrl: host.url,
    schema: 'public',
    retention: false,
    client: host.prisma,
    jobs,
    handlers,
    log,
  })
  await worker.start()
  await worker.stop()
  const authorize = (user: string | string[] | null | undefined) => accessOf(user)
  served = await openServers({ client: host.client, jobs, authorize })
})

afterAll(async () => {
  await served.close()
  await host.close()
})

const BODIES: Record<string, object> = {
  keys: { key: 'k', paused: true },
  limit: { global: 1 },
  schedules: { key: 'k', cron: '0 9 * * 1', ifVersion: 0 },
}

type Answers = Record<string, 'nothing' | [status: number, text: string]>

/** Does each operation to the job with that name, in an order in which they succeed. */
async function operate(
  kind: Kind,
  name: string,
  paths: typeof operations,
  user = 'ada',
): Promise<Answers> {
  const answers: Answers = {}
  for (const { method, path } of paths) {
    const target = path.replace(':name', encodeURIComponent(name)).replace(':key', 'k')
    const query = path.endsWith('/key') ? '?key=k' : ''
    const body = { reason: 'a test', ...BODIES[path.split('/').at(-1) ?? ''] }
    const answer = await served[kind].ask(`/ops/api${target}${query}`, {
      method,
      headers: { 'x-user': user, ...(method !== 'GET' && { 'content-type': 'application/json' }) },
      ...(method !== 'GET' && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    answers[`${method} ${path}`] = NOTHING.test(text)
      ? 'nothing'
      : [answer.status, text.replaceAll(CHANGING, '')]
  }
  return answers
}

/** Fastify's own answer is that of its host. */
const NOTHING = /There is nothing at this address|This address takes|"Route [^"]* not found"/

/** Ids, instants, versions and durations. */
const CHANGING = /[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\dT[\d:.]+Z|"\w+":\d+(\.\d+)?/g

const isShort = ({ path }: { path: string }) => path.startsWith('/jobs/:name')

// The Node handler finds its routes as the fetch handler does.
it.each<Kind>(['fetch', 'fastify'])(
  'all that %s does to a job it does to one that is called as a part of an address',
  async (kind) => {
    const paths = operations.filter((one) => !isShort(one))
    const expected = JSON.stringify(await operate(kind, ORDINARY, paths))
    expect(expected.match(/\[20\d/g)?.length).toBeGreaterThanOrEqual(10)
    for (const name of names.slice(1)) {
      const answers = await operate(kind, name, paths)
      expect(answers).toEqual(JSON.parse(expected.replaceAll(ORDINARY, name)))
    }
  },
)

it('an ordinary job is operated at its shorter address as well, and no other route begins as the long one', async () => {
  for (const kind of KINDS) {
    const answers = await operate(kind, ORDINARY, operations.filter(isShort))
    expect(
      Object.values(answers).filter(([status]) => Number(status) < 300).length,
    ).toBeGreaterThanOrEqual(5)
  }
  const named = operations.filter(({ path }) => path.startsWith('/jobs/named/'))
  expect(named.every(({ path }) => path.startsWith('/jobs/named/:name/'))).toBe(true)
})

it('every server gives the same answers, whatever the name in the address', async () => {
  const name = fc.oneof(
    fc.constantFrom(
      ...['..', '.', '%', '%2f', '%252F', 'a/b', '/', '__proto__', '', ' ', 'a b', '?', '#', '\\'],
      ...['named', 'runs', 'runs.csv', 'dead-letters', 'constructor', 'é', 'e\u0301', '\u0000'],
    ),
    fc.constantFrom('runs', 'work', 'bulk', 'limits', 'named', 'schedules'),
    fc.string({ unit: 'grapheme', maxLength: 120 }),
    fc.string({ maxLength: 20 }),
  )
  const property = fc.asyncProperty(
    name.filter((text) => text.isWellFormed()),
    fc.nat(),
    async (text, at) => {
      const one = operations[at % operations.length]!
      const [first, ...others] = await Promise.all(
        KINDS.map((kind) => operate(kind, text, [one], 'bob')),
      )
      for (const other of others) expect(other).toEqual(first)
    },
  )
  await fc.assert(property, { numRuns: 150 })
})
