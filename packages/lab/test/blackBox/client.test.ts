import {
  defineJob,
  defineLimit,
  type EnqueueOptions,
  type Job,
  type PayloadOf,
} from '@roundsman/engine'
import {
  createJobsClient,
  getJobHealth,
  getJobRun,
  getManyWork,
  getQueueStats,
  getWork,
  getWorkByKey,
  listDeadLetters,
  listJobRuns,
  listProblems,
  listSchedules,
  listWaitingWork,
  openReader,
  type ListJobRunsOptions,
} from '@roundsman/engine/client'
import { migrate } from '@roundsman/engine/migrate'
import { createTestDatabase, openForTests } from '@roundsman/testing'
import { afterEach } from 'vitest'
import { z } from 'zod'
import {
  byTenant,
  callPartner,
  inOrder,
  jobs,
  mail,
  paced,
  partner,
  purge,
  remind,
  sum,
  yearly,
} from './fixtures/product.ts'
import { by, later, openProduct, START } from './openProduct.ts'
import { openRecordings, PATIENCE_MS, refusal } from './recordings.ts'

const product = openForTests(openProduct)
const recorded = openRecordings('client')
afterEach(() => product.test.reset())

/** Prisma's own bounds are seconds. */
const patient = { maxWait: PATIENCE_MS, timeout: PATIENCE_MS }
const UNKNOWN = '01890000-0000-7000-8000-000000000001'
const names = jobs.map(({ name }) => name)

/** Enqueues in a transaction that commits. */
const put = <J extends Job>(job: J, payload: PayloadOf<J>, options?: EnqueueOptions) =>
  product.inTransaction((tx) => product.test.enqueue(tx, job, payload, options))
const drain = async () =>
  (await product.test.drain()).map(({ id, name, trigger, attempt, status, payload, error }) => ({
    ...{ id, name, trigger, attempt, payload },
    status: error?.code ?? status,
  }))
const reader = () => product.test.reader
const waiting = async () =>
  (await listWaitingWork(reader(), { limit: 100 })).work.map(
    ({ workId, name, label, key, startAfter, isDue, attempts, priority }) => ({
      ...{ workId, label: label ?? name, key, startAfter, isDue, attempts, priority },
    }),
  )
const runs = (asked: Partial<ListJobRunsOptions> = {}) =>
  listJobRuns(reader(), { limit: 100, ...asked })
/** Those of an instant by their attempt: their ids are random. */
const briefRuns = async (asked: Partial<ListJobRunsOptions> = {}) =>
  (await runs(asked)).runs
    .map(
      ({ id, workId, name, trigger, attempt, outcome, errorCode, startedAt, actor, reason }) => ({
        ...{ id, workId, name, trigger, attempt, outcome, errorCode, startedAt, actor, reason },
      }),
    )
    .toSorted((one, other) => other.attempt - one.attempt)
const lastRun = async () => {
  const [run] = (await runs({ limit: 1 })).runs
  return run && (await getJobRun(reader(), run.id))
}
const letters = async () =>
  (await listDeadLetters(reader(), { limit: 100 })).deadLetters.map(
    ({ workId, runId, name, label, key, attempts, error }) => ({
      ...{ workId, runId, label: label ?? name, key, attempts, code: error.code },
    }),
  )
/** Leaves two dead letters of `mail`. */
async function fail() {
  const made = [
    await put(mail, { to: 'a@example.com', isFinal: true, fails: 1 }),
    await put(mail, { to: 'b@example.com', isFinal: true, fails: 1 }, { uniqueKey: 'b' }),
  ]
  await drain()
  return made.map(({ workId }) => workId)
}
/** Three pieces of `mail` that wait. */
async function putThree() {
  const made = [
    await put(mail, { to: 'a@example.com' }),
    await put(mail, { to: 'b@example.com' }, { priority: 5 }),
    await put(mail, { to: 'c@example.com' }, { startAfter: later(60) }),
  ]
  return made.map(({ workId }) => workId)
}

// Enqueueing

recorded('enqueue: work exists once a transaction of pg commits', async () => {
  const result = await product.inTransaction(async (tx) => {
    const made = await product.test.enqueue(tx, mail, { to: 'a@example.com', subject: 'Hello' })
    return { made, before: await product.test.enqueued(mail) }
  })
  const { work } = await listWaitingWork(reader(), { limit: 100 })
  return { ...result, after: await product.test.enqueued(mail), listed: work }
})

recorded('enqueue: a transaction of pg that rolls back leaves nothing', async () => {
  const rolledBack = await refusal(
    product.inTransaction(async (tx) => {
      await product.test.enqueue(tx, mail, { to: 'a@example.com' })
      throw new RangeError('rolled back')
    }),
  )
  return { rolledBack, waits: await waiting() }
})

recorded('enqueue: work exists once a transaction of Prisma commits', async () => {
  const made = await product.prisma.$transaction(
    (tx) => product.test.enqueue(tx, mail, { to: 'a@example.com' }),
    patient,
  )
  return { made, waits: await waiting() }
})

recorded('enqueue: a transaction of Prisma that rolls back leaves nothing', async () => {
  const rolledBack = await refusal(
    product.prisma.$transaction(async (tx) => {
      await product.test.enqueue(tx, mail, { to: 'a@example.com' })
      throw new RangeError('rolled back')
    }, patient),
  )
  return { rolledBack, waits: await waiting() }
})

recorded('enqueue: all options', async () => {
  const made = await put(
    mail,
    { to: 'a@example.com' },
    {
      startAfter: later(60),
      priority: 7,
      uniqueKey: 'u',
      expiresAt: later(120),
      enqueuedBy: 'request 7f3a',
    },
  )
  const waits = { waiting: await waiting(), enqueued: await product.test.enqueued(mail) }
  await product.test.advance({ seconds: 61 })
  await drain()
  return { made, ...waits, run: await lastRun() }
})

recorded('enqueueMany: results are in the order of the items', async () => {
  await put(mail, { to: 'first@example.com' }, { uniqueKey: 'u' })
  const made = await product.inTransaction((tx) =>
    product.test.enqueueMany(tx, mail, [
      { payload: { to: 'a@example.com' } },
      { payload: { to: 'b@example.com' }, options: { uniqueKey: 'u' } },
      { payload: { to: 'c@example.com' }, options: { priority: 3 } },
    ]),
  )
  return { made, waits: await waiting() }
})

recorded('enqueueMany: none of them when one has a wrong payload', async () => {
  const refused = await refusal(
    product.inTransaction((tx) =>
      product.test.enqueueMany(tx, mail, [
        { payload: { to: 'a@example.com' } },
        { payload: { to: 5 } as never },
      ]),
    ),
  )
  return { refused, waits: await waiting() }
})

recorded('enqueueMany: no items', async () => ({
  made: await product.inTransaction((tx) => product.test.enqueueMany(tx, mail, [])),
}))

recorded('enqueueNow: work exists once it resolves, and keeps its unique key', async () => {
  const options = { uniqueKey: 'u', priority: 3 }
  const first = await product.test.enqueueNow(mail, { to: 'a@example.com' }, options)
  const second = await product.test.enqueueNow(mail, { to: 'b@example.com' }, options)
  return { first, second, waits: await waiting(), ended: await drain() }
})

recorded(
  'enqueueNow: a transaction of the host that rolls back does not take it back',
  async () => {
    const rolledBack = await refusal(
      product.inTransaction(async () => {
        await product.test.enqueueNow(mail, { to: 'a@example.com' })
        throw new RangeError('rolled back')
      }),
    )
    return { rolledBack, waits: await waiting() }
  },
)

recorded('enqueueNow: wrong arguments', async () => ({
  payload: await refusal(() => product.test.enqueueNow(mail, { to: 5 } as never)),
  priority: await refusal(() => product.test.enqueueNow(mail, { to: 'a' }, { priority: 0.5 })),
  unknown: await refusal(() => product.test.enqueueNow(mail, { to: 'a' }, { prio: 1 } as never)),
  job: await refusal(() => product.test.enqueueNow({} as never, {} as never)),
  txFirst: await refusal(() =>
    product.inTransaction((tx) => product.test.enqueueNow(tx as never, mail as never)),
  ),
  waits: await waiting(),
}))

recorded('enqueueManyNow: results are in the order of the items', async () => {
  await put(mail, { to: 'first@example.com' }, { uniqueKey: 'u' })
  const made = await product.test.enqueueManyNow(mail, [
    { payload: { to: 'a@example.com' } },
    { payload: { to: 'b@example.com' }, options: { uniqueKey: 'u' } },
    { payload: { to: 'c@example.com' }, options: { priority: 3 } },
  ])
  return { made, none: await product.test.enqueueManyNow(mail, []), waits: await waiting() }
})

recorded('enqueueManyNow: none of them when one is wrong', async () => {
  const of = (item: object) =>
    refusal(() =>
      product.test.enqueueManyNow(mail, [{ payload: { to: 'a@example.com' } }, item as never]),
    )
  return {
    payload: await of({ payload: { to: 5 } }),
    option: await of({ payload: { to: 'b' }, options: { priority: 0.5 } }),
    unknown: await of({ payload: { to: 'b' }, options: { prio: 1 } }),
    unknownOfItem: await of({ payload: { to: 'b' }, option: {} }),
    noList: await refusal(() => product.test.enqueueManyNow(mail, { payload: {} } as never)),
    waits: await waiting(),
  }
})

recorded('uniqueKey: kept while the work waits, free once it is done', async () => {
  const first = await put(mail, { to: 'a@example.com' }, { uniqueKey: 'u' })
  const second = await put(mail, { to: 'b@example.com' }, { uniqueKey: 'u' })
  const other = await put(sum, { a: 1, b: 1 }, { uniqueKey: 'u' })
  await drain()
  const third = await put(mail, { to: 'c@example.com' }, { uniqueKey: 'u' })
  return { first, second, other, third, waits: await product.test.enqueued(mail) }
})

recorded('uniqueKey: replaced work has the new payload and options', async () => {
  const first = await put(mail, { to: 'a@example.com' }, { uniqueKey: 'u', priority: 1 })
  const second = await put(
    mail,
    { to: 'b@example.com' },
    { uniqueKey: 'u', onConflict: 'replace', priority: 9, startAfter: later(30) },
  )
  return { first, second, waits: await product.test.enqueued(mail), listed: await waiting() }
})

recorded('uniqueKey: a long payload replaced by a short one', async () => {
  const first = await put(mail, { to: 'x'.repeat(5_000) }, { uniqueKey: 'u' })
  const second = await put(mail, { to: 'b@example.com' }, { uniqueKey: 'u', onConflict: 'replace' })
  const ended = await drain()
  return { first, second, ended }
})

recorded('uniqueKey: maxWaitMs bounds how far replacing postpones', async () => {
  const options = { uniqueKey: 'u', onConflict: 'replace', maxWaitMs: 60_000 } as const
  await put(mail, { to: 'a@example.com' }, { ...options, startAfter: later(30) })
  await put(mail, { to: 'b@example.com' }, { ...options, startAfter: later(3_600) })
  return product.test.enqueued(mail)
})

recorded('startAfter: work waits until then', async () => {
  await put(mail, { to: 'a@example.com' }, { startAfter: later(60) })
  const before = await drain()
  await product.test.advance({ seconds: 60 })
  return { before, after: await drain() }
})

recorded('priority: higher starts first, then the earlier', async () => {
  for (const [to, priority] of [
    ['a', 0],
    ['b', 5],
    ['c', -5],
    ['d', 5],
  ] as const) {
    await put(mail, { to }, { priority })
  }
  return (await drain()).map(({ payload }) => payload)
})

recorded(
  'expiresAt: work that is taken later fails as expired, without a dead letter',
  async () => {
    const { workId } = await put(mail, { to: 'a@example.com' }, { expiresAt: later(10) })
    await product.test.advance({ seconds: 11 })
    const ended = await drain()
    return {
      ended,
      run: await lastRun(),
      letters: await letters(),
      result: await product.test.result(mail, workId, { timeoutMs: 0 }),
      explained: await product.test.explain(workId),
    }
  },
)

const WRONG: Record<string, EnqueueOptions> = {
  'startAfter is no date': { startAfter: new Date(Number.NaN) },
  'priority is too high': { priority: 2 ** 31 },
  'priority is no whole number': { priority: 1.5 },
  'uniqueKey is empty': { uniqueKey: '' },
  'uniqueKey is too long': { uniqueKey: 'x'.repeat(256) },
  'onConflict is unknown': { uniqueKey: 'u', onConflict: 'merge' as never },
  'onConflict without uniqueKey': { onConflict: 'replace' },
  'maxWaitMs without replace': { uniqueKey: 'u', maxWaitMs: 1_000 },
  'maxWaitMs is negative': { uniqueKey: 'u', onConflict: 'replace', maxWaitMs: -1 },
  'expiresAt before startAfter': { startAfter: later(60), expiresAt: later(30) },
  'expiresAt is a text': { expiresAt: '2090-01-01' as never },
  'enqueuedBy is no text': { enqueuedBy: 5 as never },
  'a name is unknown': { unique: 'u' } as never,
}
recorded('enqueue: wrong options are refused by name', async () => {
  const refused: Record<string, unknown> = {}
  for (const [what, options] of Object.entries(WRONG)) {
    refused[what] = await refusal(put(mail, { to: 'a@example.com' }, options))
  }
  return { refused, waits: await waiting() }
})

recorded('enqueue: what is no transaction is refused', async () => ({
  nothing: await refusal(() => product.test.enqueue(null as never, mail, { to: 'a' })),
  text: await refusal(() => product.test.enqueue('tx' as never, mail, { to: 'a' })),
  object: await refusal(() => product.test.enqueue({} as never, mail, { to: 'a' })),
  pool: await refusal(() => product.test.enqueue(product.pool as never, mail, { to: 'a' })),
  prisma: await refusal(() => product.test.enqueue(product.prisma as never, mail, { to: 'a' })),
  noTransaction: await refusal(async () => {
    const connection = await product.pool.connect()
    try {
      return await product.test.enqueue(connection, mail, { to: 'a' })
    } finally {
      connection.release()
    }
  }),
  many: await refusal(() => product.test.enqueueMany(product.pool as never, mail, [])),
  act: await refusal(() =>
    product.test.cancelWork({ job: mail, all: true }, by, { tx: product.pool as never }),
  ),
  schedule: await refusal(() =>
    schedules().upsert(product.pool as never, remind, {
      ...{ key: 'a', cron: '@daily', payload: { customer: 'a' } },
    }),
  ),
  reader: await refusal(() => product.test.readerIn(product.pool as never)),
  job: await refusal(() =>
    product.inTransaction((tx) => product.test.enqueue(tx, {} as never, { to: 'a' } as never)),
  ),
}))

const circle: Record<string, unknown> = {}
circle['of'] = circle
const dated = defineJob({ name: 'dated', payload: z.strictObject({ at: z.date() }) })
const coerced = defineJob({ name: 'dated', payload: z.strictObject({ at: z.coerce.date() }) })
const anything = defineJob<'anything', unknown>({ name: 'anything', payload: anySchema() })
function anySchema() {
  const validate = (value: unknown) => ({ value })
  return { '~standard': { version: 1, vendor: 'case', validate } } as const
}
recorded('enqueue: payloads that cannot be stored are payload_invalid', async () => {
  const wrong: Record<string, unknown> = {
    ofAnotherSchema: await refusal(put(mail, { to: 5 } as never)),
    withMore: await refusal(put(mail, { to: 'a', more: 1 } as never)),
    date: await refusal(put(dated, { at: START })),
    dateOfAny: await refusal(put(anything, { at: START })),
    map: await refusal(put(anything, new Map([['a', 1]]))),
    buffer: await refusal(put(anything, { bytes: Buffer.from('a') })),
    missing: await refusal(put(mail, undefined as never)),
    circle: await refusal(put(anything, circle)),
    bigInt: await refusal(put(anything, { n: 5n })),
    nul: await refusal(put(anything, { text: '\u0000' })),
    tooLong: await refusal(put(anything, { text: 'x'.repeat(9_000_000) })),
    tooDeep: await refusal(put(anything, JSON.parse('['.repeat(70) + ']'.repeat(70)))),
  }
  return { wrong, waits: await waiting() }
})

recorded('enqueue: a Date is stored as text where the schema makes a Date of it', async () => {
  const made = await put(coerced, { at: START })
  return {
    made,
    waits: (await product.test.enqueued(coerced as never)).map(({ payload }) => payload),
  }
})

recorded('enqueue: the issues of the schema are in the details', async () => {
  const error = await put(mail, { to: 5 } as never).catch((thrown: unknown) => thrown)
  return (error as { details: unknown }).details
})

recorded('acts: a name that is unknown is refused', async () => ({
  which: await refusal(() => product.test.cancelWork({ job: mail, id: UNKNOWN } as never, by)),
  request: await refusal(() => product.test.pauseQueue('mail', { ...by, because: 'x' } as never)),
  limit: await refusal(() => product.test.limits.set({ job: byTenant }, { max: 1 } as never, by)),
  reader: await refusal(() => runs({ state: 'failed' } as never)),
}))

recorded('defineJob and defineLimit: wrong options are refused by name', async () => {
  const define = (more: object) => refusal(() => defineJob({ name: 'case', ...more }))
  return {
    name: await define({ name: 'not a name' }),
    unknown: await define({ retries: 3 }),
    retry: await define({ retry: { limit: -1 } }),
    unknownOfRetry: await define({ retry: { times: 3 } }),
    timeoutMs: await define({ timeoutMs: 0 }),
    cron: await define({ schedule: { cron: 'often' } }),
    timeZone: await define({ schedule: { cron: '@daily', timeZone: 'Mars' } }),
    concurrency: await define({ concurrency: 0 }),
    perKey: await define({ concurrency: { perKey: 1 } }),
    rateLimit: await define({ rateLimit: { limit: 1, perMs: 0 } }),
    guard: await define({ isDestructive: true, guard: { maxRows: -1 } }),
    payload: await define({ payload: {} }),
    limit: await refusal(() => defineLimit({ name: 'case', global: 0 })),
    unknownOfLimit: await refusal(() => defineLimit({ name: 'case', max: 1 } as never)),
  }
})

// Running

recorded('run: success has details of handler and engine', async () => {
  await put(mail, { to: 'a@example.com', subject: 'Hello' })
  const ended = await product.test.drain()
  return { ended, listed: await runs(), run: await lastRun() }
})

recorded('run: a failure is retried, then a success', async () => {
  const { workId } = await put(mail, { to: 'a@example.com', fails: 1 })
  const first = await drain()
  const between = {
    waiting: await waiting(),
    explained: await product.test.explain(workId),
    result: await product.test.result(mail, workId, { timeoutMs: 0 }),
  }
  await product.test.advance({ seconds: 2 })
  return { first, between, second: await drain(), runs: await briefRuns({ workId }) }
})

recorded('run: the last failure makes a dead letter', async () => {
  const { workId } = await put(mail, { to: 'a@example.com', subject: 'Hi', fails: 2 })
  await drain()
  await product.test.advance({ seconds: 2 })
  await drain()
  return {
    runs: await briefRuns(),
    run: await lastRun(),
    letters: (await listDeadLetters(reader(), { limit: 100 })).deadLetters,
    result: await product.test.result(mail, workId, { timeoutMs: 0 }),
    explained: await product.test.explain(workId),
    work: await getWork(reader(), mail, workId),
  }
})

recorded('run: an error that is not retryable makes a dead letter at once', async () => {
  await put(mail, { to: 'a@example.com', fails: 1, isFinal: true })
  const ended = await drain()
  return { ended, letters: await letters() }
})

recorded('run: by TestJobs.run, without the queue', async () => ({
  ended: await product.test.run(mail, { to: 'a@example.com' }, { actor: 'ada' }),
  dry: await product.test.run(purge, { due: 5 }, { dryRun: true }),
  failed: await refusal(product.test.run(mail, { to: 'a', fails: 1 })),
  invalid: await refusal(product.test.run(mail, {} as never)),
  runs: await briefRuns(),
}))

recorded('run: below its guard, in two batches', async () => {
  await put(purge, { due: 5 })
  const ended = await drain()
  return { ended, run: await lastRun() }
})

recorded('result: of success, and of a result that the schema refuses', async () => {
  const { workId } = await put(sum, { a: 2, b: 3 })
  const before = await product.test.result(sum, workId, { timeoutMs: 0 })
  const refused = await put(sum, { a: 2_000, b: 3 })
  await drain()
  return {
    before,
    after: await product.test.result(sum, workId),
    refused: await product.test.result(sum, refused.workId),
    unknown: await product.test.result(sum, UNKNOWN, { timeoutMs: 0 }),
    aborted: await refusal(
      product.test.result(sum, (await put(sum, { a: 1, b: 1 })).workId, {
        signal: AbortSignal.abort(new RangeError('enough')),
      }),
    ),
    letters: await letters(),
  }
})

recorded('result: wrong arguments', async () => ({
  id: await refusal(() => product.test.result(sum, 'x')),
  timeoutMs: await refusal(() => product.test.result(sum, UNKNOWN, { timeoutMs: -1 })),
  job: await refusal(() => product.test.result({} as never, UNKNOWN)),
}))

// Explaining

recorded('explain: delayed, due, and what is unknown', async () => {
  const [due = '', , delayed = ''] = await putThree()
  return {
    due: await product.test.explain(due),
    delayed: await product.test.explain(delayed),
    unknown: await product.test.explain(UNKNOWN),
    wrong: await refusal(() => product.test.explain('x')),
  }
})

recorded('explain: a paused queue', async () => {
  const { workId } = await put(mail, { to: 'a@example.com' })
  await product.test.pauseQueue('mail', by)
  return product.test.explain(workId)
})

recorded('explain: a paused key', async () => {
  const { workId } = await put(byTenant, { tenant: 'a' })
  await product.test.keys.set(byTenant, 'a', { paused: true }, by)
  return product.test.explain(workId)
})

recorded('explain: earlier work of a fifo key comes first', async () => {
  const first = await put(inOrder, { tenant: 'a', nth: 1 }, { startAfter: later(60) })
  const second = await put(inOrder, { tenant: 'a', nth: 2 })
  return [await product.test.explain(first.workId), await product.test.explain(second.workId)]
})

recorded('explain: a service has refused more', async () => {
  await put(callPartner, { retryAfter: '120' })
  await drain()
  const { workId } = await put(callPartner, {})
  return product.test.explain(workId)
})

recorded('explain: no token of a rate is left', async () => {
  await put(paced, {})
  await drain()
  const { workId } = await put(paced, {})
  return product.test.explain(workId)
})

recorded('explain: completed, cancelled, discarded', async () => {
  const [letter = ''] = await fail()
  const done = await put(mail, { to: 'a@example.com' })
  await drain()
  const cancelled = await put(mail, { to: 'b@example.com' })
  await product.test.cancelWork({ job: mail, ids: [cancelled.workId] }, by)
  await product.test.discardDeadLetters({ ids: [letter] }, by)
  return {
    completed: await product.test.explain(done.workId),
    cancelled: await product.test.explain(cancelled.workId),
    discarded: await product.test.explain(letter),
    results: [
      await product.test.result(mail, cancelled.workId, { timeoutMs: 0 }),
      await product.test.result(mail, letter, { timeoutMs: 0 }),
    ],
  }
})

// Waiting work

recorded('cancelWork: by id, label, key, all; a second time', async () => {
  const [first = ''] = await putThree()
  await put(byTenant, { tenant: 'a' })
  await put(byTenant, { tenant: 'b' })
  return {
    byId: await product.test.cancelWork({ job: mail, ids: [first] }, by),
    again: await product.test.cancelWork({ job: mail, ids: [first] }, by),
    byLabel: await product.test.cancelWork({ job: mail, label: 'Mail to b@example.com' }, by),
    byKey: await product.test.cancelWork({ job: byTenant, key: 'a' }, by),
    all: await product.test.cancelWork({ job: mail, all: true }, by),
    left: await waiting(),
  }
})

recorded('cancelWork: frees the unique key', async () => {
  await put(mail, { to: 'a@example.com' }, { uniqueKey: 'u' })
  await product.test.cancelWork({ job: mail, all: true }, by)
  return put(mail, { to: 'b@example.com' }, { uniqueKey: 'u' })
})

recorded('cancelWork: in a transaction that rolls back', async () => {
  await putThree()
  await refusal(
    product.inTransaction(async (tx) => {
      await product.test.cancelWork({ job: mail, all: true }, by, { tx })
      throw new RangeError('rolled back')
    }),
  )
  return (await waiting()).length
})

recorded('postponeWork: later, and to an instant of the past', async () => {
  const [first = '', , third = ''] = await putThree()
  const done = [
    await product.test.postponeWork({ job: mail, ids: [first] }, { ...by, startAfter: later(30) }),
    await product.test.postponeWork({ job: mail, ids: [third] }, { ...by, startAfter: later(30) }),
    await product.test.postponeWork({ job: mail, ids: [third] }, { ...by, startAfter: later(-30) }),
  ]
  return { done, waits: await waiting() }
})

recorded('prioritiseWork: the order changes', async () => {
  const [first = ''] = await putThree()
  const done = await product.test.prioritiseWork(
    { job: mail, ids: [first] },
    { ...by, priority: 10 },
  )
  return { done, waits: await waiting() }
})

recorded('acts on waiting work: wrong arguments', async () => ({
  ids: await refusal(() => product.test.cancelWork({ job: mail, ids: ['x'] }, by)),
  which: await refusal(() => product.test.cancelWork({ job: mail } as never, by)),
  startAfter: await refusal(() =>
    product.test.postponeWork({ job: mail, all: true }, { ...by, startAfter: 5 as never }),
  ),
  priority: await refusal(() =>
    product.test.prioritiseWork({ job: mail, all: true }, { ...by, priority: 0.5 }),
  ),
}))

// Dead letters

recorded('redriveDeadLetters: by id, by filter, all, of known jobs', async () => {
  const [first = ''] = await fail()
  const redriven = [
    await product.test.redriveDeadLetters({ ids: [first] }, by),
    await product.test.redriveDeadLetters({ ids: [first, UNKNOWN] }, by),
    await product.test.redriveDeadLetters('all', { ...by, jobs: [sum] }),
    await product.test.redriveDeadLetters({ filter: { name: 'mail', errorCode: 'none' } }, by),
    await product.test.redriveDeadLetters({ filter: { name: 'mail' } }, by),
  ]
  return { redriven, waits: await waiting(), ended: await drain() }
})

recorded('redriveDeadLetters: other work has the unique key', async () => {
  await fail()
  await put(mail, { to: 'c@example.com' }, { uniqueKey: 'b' })
  return { ...(await product.test.redriveDeadLetters('all', by)), letters: await letters() }
})

recorded('redriveDeadLetters: grants all attempts anew', async () => {
  const { workId } = await put(mail, { to: 'a@example.com', fails: 3 })
  await drain()
  await product.test.advance({ seconds: 2 })
  await drain()
  await product.test.redriveDeadLetters('all', by)
  await drain()
  await product.test.advance({ seconds: 2 })
  await drain()
  return briefRuns({ workId })
})

recorded('discardDeadLetters: one, and the others', async () => {
  const [first = ''] = await fail()
  return {
    one: await product.test.discardDeadLetters({ ids: [first] }, by),
    again: await product.test.discardDeadLetters({ ids: [first] }, by),
    all: await product.test.discardDeadLetters('all', by),
    letters: await letters(),
    runs: (await briefRuns()).length,
  }
})

recorded('listDeadLetters: filters and pages', async () => {
  await fail()
  await put(inOrder, { tenant: 'a', fails: true })
  await drain()
  const ask = (query: object) => listDeadLetters(reader(), { limit: 10, ...query })
  const first = await ask({ limit: 1 })
  return {
    first,
    second: await ask({ limit: 5, after: first.next }),
    byName: (await ask({ name: 'inOrder' })).deadLetters,
    byCode: (await ask({ errorCode: 'smtp_unavailable' })).deadLetters.length,
    byLabel: (await ask({ label: 'Mail to a@example.com' })).deadLetters.length,
    byKey: (await ask({ name: 'inOrder', key: 'a' })).deadLetters.length,
    none: await ask({ errorCode: 'none' }),
    wrong: await refusal(() => ask({ limit: 0 })),
  }
})

recorded('fifo: a dead letter holds its key up until it is discarded', async () => {
  const first = await put(inOrder, { tenant: 'a', fails: true })
  const second = await put(inOrder, { tenant: 'a' })
  await put(inOrder, { tenant: 'b' })
  const before = (await drain()).map(({ payload, status }) => ({ payload, status }))
  const explained = await product.test.explain(second.workId)
  await product.test.discardDeadLetters({ ids: [first.workId] }, by)
  return { before, explained, after: (await drain()).map(({ payload }) => payload) }
})

// Runs by people

recorded('requestRun: with a payload, as a dry run', async () => {
  const workId = await product.test.requestRun(mail, { ...by, payload: { to: 'a@example.com' } })
  const dry = await product.test.requestRun(purge, { ...by, payload: { due: 50 }, dryRun: true })
  const ended = await drain()
  return { workId, dry, ended, runs: await briefRuns(), run: await lastRun() }
})

recorded('requestRun: wrong arguments', async () => ({
  payload: await refusal(() => product.test.requestRun(mail, by)),
  dryRun: await refusal(() => product.test.requestRun(yearly, { ...by, dryRun: 1 as never })),
}))

recorded('runAgain: while the payload is kept, and afterwards', async () => {
  await fail()
  const failed = (await lastRun())?.id ?? ''
  await put(mail, { to: 'c@example.com' })
  await drain()
  const done = (await lastRun())?.id ?? ''
  return {
    ofLetter: await product.test.runAgain(mail, failed, by),
    ofDone: await product.test.runAgain(mail, done, by),
    unknown: await product.test.runAgain(mail, UNKNOWN, by),
    ofOther: await product.test.runAgain(sum, failed, by),
    wrong: await refusal(() => product.test.runAgain(mail, 'x', by)),
    ended: await drain(),
  }
})

recorded('cancelRun: what has ended, and what is unknown', async () => {
  await put(mail, { to: 'a@example.com' })
  await drain()
  return {
    ended: await product.test.cancelRun((await lastRun())?.id ?? '', by),
    unknown: await product.test.cancelRun(UNKNOWN, by),
    wrong: await refusal(() => product.test.cancelRun('x', by)),
  }
})

recorded('approveRun: a run that its guard has blocked, once', async () => {
  const { workId } = await put(purge, { due: 50 })
  const [blocked] = await drain()
  const id = blocked?.id ?? ''
  const before = {
    blocked,
    letters: await letters(),
    explained: await product.test.explain(workId),
  }
  const approved = [
    await product.test.approveRun(id, by),
    await product.test.approveRun(id, by),
    await product.test.approveRun(UNKNOWN, by),
  ]
  const ended = await drain()
  return {
    ...before,
    approved,
    ended,
    run: await getJobRun(reader(), id),
    letters: await letters(),
    notBlocked: await product.test.approveRun(ended[0]?.id ?? '', by),
  }
})

recorded('showPayload: of work, of a run, of what is gone', async () => {
  const { workId } = await put(mail, { to: 'a@example.com', subject: 'Hello' })
  const request = { actor: 'ada', jobs }
  const ofWork = await product.test.showPayload({ workId }, request)
  await drain()
  const run = await lastRun()
  return {
    ofWork,
    ofRun: await product.test.showPayload({ runId: run?.id ?? '' }, request),
    unknown: await product.test.showPayload({ workId: UNKNOWN }, request),
  }
})

// Queues and schedules of code

recorded('pauseQueue and resumeQueue', async () => {
  await put(mail, { to: 'a@example.com' })
  const paused = [
    await product.test.pauseQueue('mail', by),
    await product.test.pauseQueue('mail', by),
    await product.test.pauseQueue('nothing', by),
  ]
  const held = await drain()
  const health = await getJobHealth(reader(), [...jobs], START)
  const resumed = [
    await product.test.resumeQueue('mail', by),
    await product.test.resumeQueue('mail', by),
    await product.test.resumeQueue('unknown', by),
  ]
  return { paused, held, pausedQueues: health.pausedQueues, resumed, ended: await drain() }
})

recorded('pauseSchedule and resumeSchedule', async () => ({
  paused: [
    await product.test.pauseSchedule('yearly', by),
    await product.test.pauseSchedule('yearly', by),
    await product.test.pauseSchedule('mail', by),
  ],
  while: await listSchedules(reader(), names),
  resumed: [
    await product.test.resumeSchedule('yearly', by),
    await product.test.resumeSchedule('yearly', by),
    await product.test.resumeSchedule('mail', by),
  ],
  after: await listSchedules(reader(), names),
}))

recorded('a schedule of code: its tick enqueues work, and a paused one is skipped', async () => {
  await product.test.advance(new Date('2091-01-01T00:00:00Z'))
  const first = await drain()
  await product.test.pauseSchedule('yearly', by)
  await product.test.advance(new Date('2092-01-01T00:00:00Z'))
  return { first, second: await drain(), run: await lastRun() }
})

// Keyed schedules

const daily = (key: string, more: object = {}) => ({
  key,
  cron: '0 9 * * *',
  payload: { customer: key },
  ...more,
})
const schedules = () => product.test.schedules
const listed = () => schedules().list({ limit: 100 })

recorded('schedules.upsert: created, unchanged, changed', async () => ({
  made: [
    await schedules().upsert(null, remind, daily('a')),
    await schedules().upsert(null, remind, daily('a')),
    await schedules().upsert(null, remind, daily('a', { timeZone: 'Europe/Berlin' })),
    await schedules().upsert(null, remind, daily('a', { payload: { customer: 'other' } })),
  ],
  listed: await listed(),
}))

recorded('schedules.upsert: all options', async () => {
  await schedules().upsert(null, remind, {
    ...daily('a'),
    missed: 'all',
    catchUpMs: 3_600_000,
    overlap: 'allow',
    jitterMs: 60_000,
    startsAt: later(86_400),
    endsAt: later(864_000),
    reason: 'a case',
    actor: 'ada@example.com',
  })
  return schedules().get({ name: 'remind', key: 'a' })
})

recorded('schedules.upsert: in a transaction that rolls back', async () => {
  const rolledBack = await refusal(
    product.inTransaction(async (tx) => {
      await schedules().upsert(tx, remind, daily('a'))
      throw new RangeError('rolled back')
    }),
  )
  return { rolledBack, listed: await listed() }
})

recorded('schedules.upsert: refusals', async () => {
  await schedules().upsert(null, remind, daily('a'))
  const wrong = (more: object) => refusal(() => schedules().upsert(null, remind, daily('b', more)))
  return {
    version: await wrong({ ifVersion: 7 }),
    cron: await wrong({ cron: 'often' }),
    seconds: await wrong({ cron: '* * * * * *' }),
    timeZone: await wrong({ timeZone: 'Mars/Phobos' }),
    payload: await wrong({ payload: { customer: 5 } }),
    key: await wrong({ key: '..' }),
    emptyKey: await wrong({ key: '' }),
    missed: await wrong({ missed: 'some' }),
    overlap: await wrong({ overlap: 'queue' }),
    jitterMs: await wrong({ jitterMs: -1 }),
    endsAt: await wrong({ startsAt: later(60), endsAt: later(30) }),
    keepsPayload: await wrong({ keepsPayload: true }),
    listed: (await listed()).schedules.length,
  }
})

recorded('schedules.upsertMany: all or none', async () => ({
  made: await schedules().upsertMany(null, remind, [daily('b'), daily('a')]),
  refused: await refusal(
    schedules().upsertMany(null, remind, [daily('c'), daily('d', { cron: 'often' })]),
  ),
  twice: await refusal(schedules().upsertMany(null, remind, [daily('c'), daily('c')])),
  listed: (await listed()).schedules.map(({ key }) => key),
}))

recorded('schedules: ticks enqueue work with the key, and are on record', async () => {
  await schedules().upsert(null, remind, daily('a'))
  await product.test.advance({ days: 1 })
  const ended = await drain()
  return {
    ended,
    run: await lastRun(),
    ticks: await schedules().ticks({ name: 'remind', key: 'a', limit: 10 }),
  }
})

recorded('schedules.pause and resume: ticks between are skipped', async () => {
  await schedules().upsert(null, remind, daily('a'))
  const paused = [
    await schedules().pause(null, remind, 'a', by),
    await schedules().pause(null, remind, 'a', by),
    await schedules().pause(null, remind, 'none', by),
  ]
  const found = await schedules().get({ name: 'remind', key: 'a' })
  await product.test.advance({ days: 2 })
  const held = await drain()
  const resumed = [
    await schedules().resume(null, remind, 'a', by),
    await schedules().resume(null, remind, 'a', by),
    await schedules().resume(null, remind, 'none', by),
  ]
  await product.test.advance({ days: 1 })
  return {
    paused,
    found,
    held,
    resumed,
    ended: (await drain()).length,
    ticks: await schedules().ticks({ name: 'remind', key: 'a', limit: 10 }),
  }
})

recorded('schedules.delete: once, and only the version that is meant', async () => {
  await schedules().upsert(null, remind, daily('a'))
  return {
    other: await refusal(schedules().delete(null, remind, 'a', { ...by, ifVersion: 7 })),
    first: await schedules().delete(null, remind, 'a', by),
    second: await schedules().delete(null, remind, 'a', by),
    again: await schedules().upsert(null, remind, daily('a')),
  }
})

recorded('schedules.trigger: work now, also while paused', async () => {
  await schedules().upsert(null, remind, daily('a'))
  await schedules().pause(null, remind, 'a', by)
  return {
    triggered: await schedules().trigger(null, remind, 'a', by),
    unknown: await schedules().trigger(null, remind, 'none', by),
    ended: await drain(),
    run: await lastRun(),
  }
})

recorded('schedules.backfill: instants that have no tick', async () => {
  await schedules().upsert(null, remind, daily('a'))
  const request = { ...by, from: later(-3 * 86_400), to: START }
  return {
    first: await schedules().backfill(null, remind, 'a', request),
    second: await schedules().backfill(null, remind, 'a', request),
    unknown: await schedules().backfill(null, remind, 'none', request),
    wrong: await refusal(() =>
      schedules().backfill(null, remind, 'a', { ...request, to: later(-4 * 86_400) }),
    ),
    ended: (await product.test.drain()).map(({ scheduledFor, trigger }) => [scheduledFor, trigger]),
    ticks: await schedules().ticks({ name: 'remind', key: 'a', limit: 10 }),
  }
})

recorded('schedules.list: filters and pages', async () => {
  await schedules().upsertMany(
    null,
    remind,
    ['a1', 'a2', 'b1'].map((key) => daily(key)),
  )
  await schedules().pause(null, remind, 'b1', by)
  const keys = async (query: object) => {
    const { schedules: found, next } = await schedules().list({ limit: 10, ...query })
    return { keys: found.map(({ key }) => key), next }
  }
  const first = await keys({ limit: 2 })
  return {
    first,
    second: await keys({ limit: 2, after: first.next }),
    search: await keys({ search: 'a' }),
    paused: await keys({ state: 'paused' }),
    late: await keys({ state: 'late' }),
    refused: await keys({ state: 'refused' }),
    ofOther: await keys({ name: 'mail' }),
    wrong: [await refusal(() => keys({ limit: 0 })), await refusal(() => keys({ state: 'lazy' }))],
  }
})

recorded('schedules.get and ticks: of what is unknown', async () => ({
  found: await schedules().get({ name: 'remind', key: 'none' }),
  ticks: await schedules().ticks({ name: 'remind', key: 'none', limit: 10 }),
  wrong: await refusal(() => schedules().ticks({ name: 'remind', key: 'a', limit: 0 })),
}))

recorded('schedules.preview: local times over a change of clocks', async () => ({
  ticks: schedules().preview({
    cron: '30 2 * * *',
    timeZone: 'Europe/Berlin',
    after: new Date('2040-03-23T00:00:00Z'),
    count: 4,
  }),
  bounded: schedules().preview({
    cron: '0 9 * * *',
    after: new Date('2040-01-01T00:00:00Z'),
    endsAt: new Date('2040-01-02T12:00:00Z'),
  }),
  wrong: [
    await refusal(() => schedules().preview({ cron: 'often' })),
    await refusal(() => schedules().preview({ cron: '@daily', count: 101 })),
    await refusal(() => schedules().preview({ cron: '@daily', timeZone: 'x' })),
  ],
}))

recorded('a keyed schedule whose payload the schema refuses', async () => {
  const lax = { ...remind, payload: anySchema() } as unknown as typeof remind
  await schedules().upsert(null, lax, daily('a', { payload: { customer: 5 } }))
  const ended = []
  for (let day = 0; day < 4; day++) {
    await product.test.advance({ days: 1 })
    ended.push(...(await drain()))
  }
  const { schedules: refused } = await schedules().list({ limit: 10, state: 'refused' })
  const [{ isRefused, nextAt, pausedAt, pausedBy } = {}] = refused as Partial<
    (typeof refused)[number]
  >[]
  return { ended, refused: { isRefused, nextAt, pausedAt, pausedBy } }
})

// Limits and keys

const getKey = (key: string) => product.test.keys.get(byTenant, key)

recorded('limits.list: as the code says', () => product.test.limits.list())

recorded('limits.set: of a job and of a shared limit', async () => ({
  set: [
    await product.test.limits.set({ job: byTenant }, { global: 5 }, by),
    await product.test.limits.set({ job: byTenant }, { global: 5 }, by),
    await product.test.limits.set({ limit: partner }, { global: 3 }, by),
    await product.test.limits.set({ job: byTenant }, { global: null }, by),
    await product.test.limits.set({ limit: { name: 'nothing' } }, { global: 1 }, by),
  ],
  listed: await product.test.limits.list(),
}))

recorded('limits.set: wrong arguments', async () => ({
  global: await refusal(() => product.test.limits.set({ job: byTenant }, { global: 0 }, by)),
  half: await refusal(() => product.test.limits.set({ job: byTenant }, { global: 1.5 }, by)),
  nothing: await refusal(() => product.test.limits.set({ job: byTenant }, {}, by)),
  which: await refusal(() => product.test.limits.set({} as never, { global: 1 }, by)),
}))

recorded('a shared limit that is parked, and unparked', async () => {
  await put(callPartner, { retryAfter: '120' })
  const first = await drain()
  const parked = await product.test.limits.list()
  await put(callPartner, {})
  const held = await drain()
  const unparked = await product.test.limits.set({ limit: partner }, { parked: false }, by)
  return {
    first,
    parked: parked.find(({ name }) => name === 'partner'),
    held,
    unparked,
    waits: (await waiting()).map(({ attempts, isDue }) => ({ attempts, isDue })),
    run: await lastRun(),
  }
})

recorded('keys.list and get', async () => {
  for (const tenant of ['a', 'b', 'b', '']) await put(byTenant, { tenant })
  await product.test.keys.set(byTenant, 'a', { perKey: 3 }, by)
  const page = await product.test.keys.list(byTenant)
  return {
    listed: page,
    byKey: (await product.test.keys.list(byTenant, { order: 'key' })).keys.map(({ key }) => key),
    one: (await product.test.keys.list(byTenant, { key: 'b' })).keys.map(({ key }) => key),
    first: (await product.test.keys.list(byTenant, { limit: 1 })).keys.length,
    found: await getKey('a'),
    unknown: await getKey('none'),
    noKeys: await product.test.keys.list(mail),
  }
})

recorded('keys.set: paused, until an instant, resumed', async () => {
  await put(byTenant, { tenant: 'a' })
  const set = [
    await product.test.keys.set(byTenant, 'a', { paused: true }, by),
    await product.test.keys.set(byTenant, 'a', { paused: true }, by),
  ]
  const held = await drain()
  const paused = await getKey('a')
  set.push(await product.test.keys.set(byTenant, 'a', { paused: later(3_600) }, by))
  const until = (await getKey('a')).paused
  set.push(await product.test.keys.set(byTenant, 'a', { paused: false }, by))
  const noKeys = await product.test.keys.set(mail, 'a', { paused: true }, by)
  return { set, noKeys, held, paused, until, ended: await drain() }
})

recorded('keys.set: wrong arguments', async () => {
  const set = (settings: object) =>
    refusal(() => product.test.keys.set(byTenant, 'a', settings, by))
  return {
    perKey: await set({ perKey: 0 }),
    paused: await set({ paused: 'yes' }),
    parked: await set({ parked: true }),
    nothing: await set({}),
    order: await refusal(() => product.test.keys.list(byTenant, { order: 'best' as never })),
    limit: await refusal(() => product.test.keys.list(byTenant, { limit: 201 })),
  }
})

recorded('actOnMany: the first call, the next, and a mark of another request', async () => {
  await putThree()
  const request = { ...by, kind: 'cancelWork', which: 'all' } as const
  const { mark, ...first } = await product.test.actOnMany(request)
  await putThree()
  const { mark: _, ...next } = await product.test.actOnMany({ ...request, mark })
  const ofOther = { ...by, kind: 'discard', which: 'all', mark } as const
  return { first, next, other: await refusal(() => product.test.actOnMany(ofOther)) }
})

// Readers

recorded('listJobRuns: each filter', async () => {
  await fail()
  await put(mail, { to: 'c@example.com' })
  await put(byTenant, { tenant: 'a' })
  await put(purge, { due: 50 })
  await product.test.requestRun(sum, { ...by, payload: { a: 1, b: 1 } })
  await drain()
  await product.test.advance({ minutes: 1 })
  const { workId } = await put(mail, { to: 'd@example.com' })
  await drain()
  const filters: Record<string, Partial<ListJobRunsOptions>> = {
    name: { name: 'mail' },
    trigger: { trigger: 'manual' },
    status: { status: 'failed' },
    running: { status: 'running' },
    outcome: { outcome: 'blocked' },
    errorCode: { errorCode: 'smtp_unavailable' },
    workId: { workId },
    from: { from: later(60) },
    to: { to: later(60) },
    label: { label: 'Mail to a@example.com' },
    labelPart: { label: 'EXAMPLE.com' },
    worker: { worker: 'te' },
    noWorker: { worker: 'none' },
    minDurationMs: { minDurationMs: 1_000 },
    maxDurationMs: { maxDurationMs: 1_000 },
    key: { key: 'a' },
    noKey: { key: '', name: 'byTenant' },
  }
  const found: Record<string, unknown> = {}
  for (const [what, filter] of Object.entries(filters)) {
    const page = await runs(filter)
    found[what] = page.runs.map(({ name, label }) => label ?? name).toSorted()
  }
  return found
})

recorded('listJobRuns: pages', async () => {
  for (let minute = 0; minute < 5; minute++) {
    await put(mail, { to: `${minute}@example.com` })
    await drain()
    await product.test.advance({ minutes: 1 })
  }
  const pages = []
  for (let after: ListJobRunsOptions['after'] | null; after !== null;) {
    const page = await runs({ limit: 2, ...(after && { after }) })
    pages.push({ ...page, runs: page.runs.map(({ label }) => label) })
    after = page.next
  }
  return pages
})

recorded('listJobRuns: wrong arguments', async () => ({
  limit: await refusal(() => runs({ limit: 0 })),
  tooMany: await refusal(() => runs({ limit: 10_001 })),
  status: await refusal(() => runs({ status: 'lost' as never })),
  outcome: await refusal(() => runs({ outcome: 'odd' as never })),
  workId: await refusal(() => runs({ workId: 'x' })),
  from: await refusal(() => runs({ from: 5 as never })),
  after: await refusal(() => runs({ after: { id: 'x', at: 'y' } })),
  name: await refusal(() => runs({ name: 5 as never })),
}))

recorded('getJobRun: of what is unknown', async () => ({
  unknown: await getJobRun(reader(), UNKNOWN),
  wrong: await refusal(() => getJobRun(reader(), 'x')),
}))

recorded('listWaitingWork: filters, order and pages', async () => {
  await putThree()
  await put(byTenant, { tenant: 'a' })
  const ask = async (query: object) => {
    const { work, next } = await listWaitingWork(reader(), { limit: 10, ...query })
    return { work: work.map(({ name, label }) => label ?? name), next }
  }
  const first = await ask({ limit: 1 })
  return {
    all: await ask({}),
    last: await ask({ order: 'last' }),
    first,
    second: await ask({ limit: 1, after: first.next }),
    name: await ask({ name: 'byTenant' }),
    label: await ask({ label: 'Mail to b@example.com' }),
    labelPart: await ask({ labelPart: 'c@' }),
    key: await ask({ name: 'byTenant', key: 'a' }),
    wrong: [await refusal(() => ask({ limit: 0 })), await refusal(() => ask({ order: 'odd' }))],
  }
})

recorded('getWork, getManyWork and getWorkByKey', async () => {
  const [waits = '', , delayed = ''] = await putThree()
  const keyed = await put(mail, { to: 'k@example.com' }, { uniqueKey: 'u' })
  const before = {
    waits: await getWork(reader(), mail, waits),
    delayed: await getWork(reader(), mail, delayed),
    byKey: await getWorkByKey(reader(), mail, 'u', START),
  }
  const [letter = ''] = await fail()
  return {
    before,
    done: await getWork(reader(), mail, keyed.workId),
    letter: await getWork(reader(), mail, letter),
    ofOther: await getWork(reader(), sum, letter),
    many: (await getManyWork(reader(), mail, [waits, delayed, letter, UNKNOWN])).size,
    byKey: {
      done: await getWorkByKey(reader(), mail, 'u', START),
      letter: await getWorkByKey(reader(), mail, 'b', START),
    },
    wrong: await refusal(() => getWork(reader(), mail, 'x')),
  }
})

recorded('getQueueStats: ready, delayed and dead letters of each job', async () => {
  await fail()
  await putThree()
  return (await getQueueStats(reader(), ['mail', 'sum'])).map(({ name, state, count }) => [
    name,
    state,
    count,
  ])
})

recorded('getJobHealth and listProblems: of a queue without trouble', async () => ({
  health: await getJobHealth(reader(), [...jobs], START),
  problems: await listProblems(reader(), [...jobs], START),
}))

recorded('listProblems: dead letters and paused queues', async () => {
  await fail()
  await put(sum, { a: 1, b: 1 })
  await product.test.pauseQueue('sum', by)
  const { problems } = await listProblems(reader(), [...jobs], START)
  return problems
})

recorded('getJobHealth: work of jobs that have left the catalogue', async () => {
  await put(mail, { to: 'a@example.com' })
  return getJobHealth(reader(), [sum], START)
})

recorded('listSchedules: of jobs with a schedule', () => listSchedules(reader(), names))

recorded('readerIn: sees what its transaction has enqueued', () =>
  product.inTransaction(async (tx) => {
    await product.test.enqueue(tx, mail, { to: 'a@example.com' })
    const query = { limit: 10 }
    return {
      inside: (await listWaitingWork(product.test.readerIn(tx), query)).work.length,
      outside: (await listWaitingWork(reader(), query)).work.length,
    }
  }),
)

// The client itself, and the tables

recorded('createJobsClient: wrong options', async () => ({
  databaseUrl: await refusal(() => createJobsClient({ databaseUrl: 5 as never })),
  schema: await refusal(() => createJobsClient({ databaseUrl: product.url, schema: '' })),
  unknown: await refusal(() =>
    createJobsClient({ databaseUrl: product.url, scheme: 'x' } as never),
  ),
  empty: await refusal(async () => {
    const client = createJobsClient({ databaseUrl: '' })
    try {
      await client.start()
    } finally {
      await client.stop()
    }
  }),
}))

recorded('migrate: makes the tables, then finds nothing missing', async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  const client = createJobsClient({ databaseUrl: url, log: { warn() {}, error() {} } })
  const missing = await refusal(client.start())
  const first = await migrate({ databaseUrl: url })
  const second = await migrate({ databaseUrl: url })
  const inSchema = await migrate({ databaseUrl: url, schema: 'shop_jobs' })
  await client.start()
  await client.start()
  const read = openReader({ databaseUrl: url, schema: 'shop_jobs' })
  const empty = await listJobRuns(read, { limit: 1 })
  await read.close()
  await client.stop()
  await drop()
  return {
    missing,
    isMade: first.length > 0,
    second,
    isMadeInSchema: inSchema.length > 0,
    place: typeof client.place.name,
    empty,
  }
})

recorded('migrate: wrong arguments', async () => ({
  databaseUrl: await refusal(() => migrate({ databaseUrl: '' })),
  schema: await refusal(() => migrate({ databaseUrl: product.url, schema: 'x'.repeat(64) })),
  unknown: await refusal(() => migrate({ databaseUrl: product.url, dry: true } as never)),
}))
