// Not quick: works through runs that fail.
import { JobError, RateLimited } from '@roundsman/engine'
import { createWorker } from '@roundsman/engine/worker'
import { openForTests, waitFor } from '@roundsman/testing'
import { log as silent } from '@roundsman/testing/openHost'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openTestAdmin, sendReport, type TestRequest } from '../openTestAdmin.ts'

/** In a value as its schema made it, in the name of a property, and in what one field's check says of another. */
const IBAN = 'ZqxDE89370400440532013000'
const SECRET = /zqx/i
const api = openForTests(openTestAdmin)
const work = new Map<string, string>()

beforeAll(async () => {
  const fail: Record<string, () => Promise<never>> = {
    thrown: () => {
      const cause = new AggregateError([new Error(`${IBAN} refused`)], `cause: ${IBAN}`)
      return Promise.reject(new TypeError(`to ${IBAN}\n    at ${IBAN}`, { cause }))
    },
    own: () => Promise.reject(new JobError('no_account', `No ${IBAN}`, { retryable: false })),
    refused: () => Promise.reject(new RateLimited({ message: `${IBAN} is refused for now` })),
    property: () => enqueue({ to: 'a@b.test', zqxProperty: 1 }),
  }
  async function enqueue(payload: object): Promise<never> {
    await api.jobsClient.enqueueNow(sendReport, payload as never)
    throw new Error('was to be refused')
  }
  const worker = createWorker({
    databaseUrl: api.databaseUrl,
    schema: 'public',
    retention: false,
    client: api.prisma,
    jobs: [{ ...sendReport, retry: { ...sendReport.retry, limit: 0 } }],
    handlers: {
      sendReport: async ({ payload, log }) => {
        log.info({ iban: IBAN, [IBAN]: 1 }, `paid to ${IBAN}`)
        await fail[payload.note as string]?.()
      },
    },
    log: silent,
  })
  for (const note of Object.keys(fail)) {
    const { workId } = await api.jobsClient.enqueueNow(sendReport, { to: 'a@b.test', note })
    work.set(note, workId)
  }
  // Others may have written it, or its schema has changed since.
  const [{ id }] = await api.prisma.$queryRaw<[{ id: string }]>`
    insert into "JobWork" ("id", "name", "bytes", "payload")
    values (gen_random_uuid(), 'sendReport', 50, '{"to": "a@b.test", "zqxProperty": 1}') returning "id"::text`
  work.set('invalid', id)
  // It stays: its own page shows what it ran.
  afterAll(() => worker.stop())
  await worker.start()
  await waitFor(
    async () => (await api.prisma.jobRun.count({ where: { endedAt: { not: null } } })) === 5,
  )
})

const ask = async (user: 'admin' | 'owner', url: string, method: TestRequest['method'] = 'GET') =>
  await api.as(user, {
    method,
    url: `/api${url}`,
    ...(method === 'POST' && { payload: { reason: 'a test' } }),
  })

/** Each address of a route, with all that its parameters may name here. */
async function addressesOf(path: string): Promise<string[]> {
  const runs = await api.prisma.jobRun.findMany({
    select: { id: true, workId: true },
  })
  const named: Record<string, string[]> = {
    ':name': [sendReport.name],
    ':key': ['none'],
    ':workId': runs.map(({ workId }) => workId!),
    ':id': runs.map(({ id }) => id),
  }
  const [parameter] = /:\w+(?=\/|$)/.exec(path.replace(':name', sendReport.name)) ?? []
  const whole = path.replace(':name', sendReport.name)
  if (parameter === undefined) return [whole]
  return named[parameter]!.map((value) => whole.replace(parameter, value))
}

const QUERIES: Record<string, string> = {
  '/console/search': '?q=zqx',
  '/console/schedules/preview': '?cron=@daily&timeZone=UTC',
  '/jobs/named/:name/key': '?key=',
  '/jobs/:name/key': '?key=',
}

/** Where people who may see payloads see a message, a cause or a log line. */
const SHOWN = [
  '/jobs/runs',
  '/jobs/runs/:id',
  '/jobs/runs.csv',
  '/jobs/dead-letters',
  '/console/search',
]

describe('what an error says', () => {
  it('is seen by people who may see payloads, and by nobody else, on whatever route', async () => {
    const seen: string[] = []
    const empty: string[] = []
    for (const { method, path, isEndless } of api.routes) {
      if (method !== 'GET' || isEndless) continue
      for (const address of await addressesOf(path)) {
        const url = `${address}${QUERIES[path] ?? ''}`
        const { statusCode, body } = await ask('admin', url)
        expect({ url, body }).toMatchObject({
          url,
          body: expect.not.stringMatching(SECRET),
        })
        if (statusCode !== 200) empty.push(path)
        if (SECRET.test((await ask('owner', url)).body)) seen.push(path)
      }
    }
    expect([...new Set(seen)].toSorted()).toEqual(SHOWN.toSorted())
    // Of acts on many, keyed schedules and children there are none here.
    expect(empty.filter((path) => !/bulk|schedules|children/.test(path))).toEqual([])
  })

  it('leaves code, class, frames and what a run counted', async () => {
    const { runs } = (await ask('admin', `/jobs/runs?workId=${work.get('thrown')}`)).json()
    expect(runs[0].details).toEqual({
      error: {
        code: 'handler_failed',
        name: 'TypeError',
        stack: expect.stringMatching(
          /^at Object\.thrown \(packages\/admin\/test\/jobs\/messages\.test\.ts:\d+:\d+\)/,
        ),
      },
    })
    const { runs: all } = (await ask('owner', `/jobs/runs?workId=${work.get('thrown')}`)).json()
    expect(all[0].details.error).toMatchObject({
      message: expect.stringContaining(IBAN),
      cause: { errors: [{ message: `${IBAN} refused` }] },
    })
    const { logs } = (await ask('owner', `/jobs/runs/${all[0].id}`)).json()
    expect(logs.lines).toMatchObject([{ message: `paid to ${IBAN}` }])
  })

  it('finds nothing for others', async () => {
    const errorsFor = async (user: 'admin' | 'owner', q: string) =>
      (await ask(user, `/console/search?q=${q}`))
        .json()
        .errors.map(({ code }: { code: string }) => code)
    expect(await errorsFor('admin', 'zqx')).toEqual([])
    expect(await errorsFor('owner', 'zqx')).toContain('no_account')
    expect(await errorsFor('admin', 'typeerror')).toEqual(['handler_failed'])
  })

  it('of a payload that the queue holds says nothing to others who have it run again', async () => {
    const { runs } = (await ask('admin', `/jobs/runs?workId=${work.get('invalid')}`)).json()
    const again = `/jobs/runs/${runs[0].id}/run-again`
    const refused = await ask('admin', again, 'POST')
    expect([refused.statusCode, refused.body]).toEqual([400, expect.not.stringMatching(SECRET)])
    expect((await ask('owner', again, 'POST')).json().errors[0].path).toMatch(SECRET)
  })
})
