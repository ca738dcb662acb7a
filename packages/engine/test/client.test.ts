import { hostileValue, makeHostile, type HostileValue } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as entry from '../src/client.ts'
import * as internal from '../src/internal.ts'
import { ArgumentError, defineJob, JobError } from '../src/index.ts'
import { useTestRuntime } from './useTestRuntime.ts'

const letter = defineJob({ name: 'letter' })
const id = '01890000-0000-7000-8000-000000000001'
const at = new Date('2026-01-02T03:04:05.678Z')
const after = { at: at.toISOString(), id }
const by = { actor: 'admin@example.com', reason: 'because of the test' }
const names = ['letter']

const runtime = useTestRuntime()
let client: entry.JobsClient

beforeAll(async () => {
  client = entry.createJobsClient({ databaseUrl: runtime.url, schema: 'public', log: runtime.log })
  await client.start()
})

afterAll(() => client.stop())

/** Arguments that a function takes; the first of those that read is a reader, and of those in bulk the client. */
type Arguments = readonly unknown[]

const READING: Record<string, Arguments> = {
  countWaitingWork: [{ name: 'letter', label: 'x', labelPart: 'x', key: 'k' }],
  sumWaitingWork: [{ name: 'letter', label: 'x', labelPart: 'x' }],
  groupWaitingWork: [{ name: 'letter', label: 'x', labelPart: 'x', isDue: true }],
  groupDeadLetters: [{ name: 'letter', label: 'x', errorCode: 'x' }],
  listWaitingWork: [{ limit: 5, name: 'letter', label: 'x', labelPart: 'x', after, order: 'last' }],
  jobsWithoutWorker: [names],
  readPausedQueues: [],
  withOtherJobs: [names],
  countLettersOfRuns: [{ name: 'letter', label: 'x', from: at, minDurationMs: 5 }],
  findDeadLetterName: [id],
  listDeadLetterCodes: [{ name: 'letter', errorCode: 'x' }],
  listDeadLetters: [{ limit: 5, name: 'letter', errorCode: 'x', after }],
  getOldestSnapshot: [],
  listUnvacuumed: [],
  findFormerWorker: ['w1'],
  findWorker: ['w1'],
  listWorkers: [],
  countQueue: [names],
  getQueueStats: [names],
  getJobRun: [id],
  listJobRuns: [
    {
      limit: 5,
      after,
      name: 'letter',
      status: 'running',
      outcome: 'running',
      trigger: 'queue',
      errorCode: 'x',
      workId: id,
      from: at,
      to: at,
      label: 'x',
      worker: 'w',
      minDurationMs: 1,
      maxDurationMs: 2,
    },
  ],
  listOtherAttempts: [{ id, workId: id }],
  listJobTicks: [{ name: 'letter', limit: 5, before: after.at }],
  listRecentTicks: [names, 5],
  listRecentRuns: [names, { limit: 5, areEnded: true }],
  listSchedules: [names],
  searchRuns: ['0189000'],
  getJobHealth: [[letter], at],
  listProblems: [[letter], at],
  listJobActions: ['letter', 5],
  listRunActions: [{ id, workId: id }],
  listScheduleActions: [{ name: 'letter', key: 'k', limit: 5 }],
  listRecentKeyedTicks: [{ name: 'letter', keys: ['k'], limit: 5, before: after.at }],
  countKeyedSchedules: ['letter'],
  listLanesInUse: [],
  listFailures: [names, at],
  listSlower: [names, at],
  findFewConnections: [],
  measureBacklog: [names],
  countRuns: [[at], 60_000],
  findOldestStart: ['letter'],
  measureDuration: ['letter'],
  tallyDurationsByHour: [{ name: 'letter', from: at, maxRuns: 5 }],
  listRunCounts: ['letter', 5],
  listVersionChanges: [{ name: 'letter', from: at }],
  listVersionStarts: [at],
  sampleRuns: [{ name: 'letter', from: at, to: at }],
  listWorkerRuns: [{ workerId: 'w1', from: at, to: at }],
  findWorkOfRun: [{ name: 'letter', workId: id }],
  countEqualFailures: [{ name: 'letter', startedAt: after.at, code: 'x', message: 'x' }],
  getManyWork: [letter, [id]],
  getWork: [letter, id],
  getWorkByKey: [letter, 'key', at],
}

/** Those that enqueue take a transaction first, or none; the others may take one last, as `{ tx }`. */
const METHODS: Record<string, Arguments> = {
  enqueueMany: [[{ payload: {}, options: { priority: 1, startAfter: at, uniqueKey: 'k' } }]],
  enqueue: [{}, { onConflict: 'replace', uniqueKey: 'k', maxWaitMs: 5, expiresAt: new Date(8e12) }],
  enqueueManyNow: [[{ payload: {}, options: { uniqueKey: 'k' } }]],
  enqueueNow: [{}, { onConflict: 'replace', uniqueKey: 'k', maxWaitMs: 5 }],
  requestRun: [letter, { ...by, dryRun: true, payload: {} }],
  runAgain: [letter, id, { ...by, dryRun: true }],
  showPayload: [{ runId: id }, { ...by, jobs: [letter] }],
  explain: [id],
  cancelRun: [id, by],
  approveRun: [id, by],
  pauseSchedule: ['letter', by, { tx: undefined }],
  resumeSchedule: ['letter', by],
  pauseQueue: ['letter', by],
  resumeQueue: ['letter', by],
  cancelWork: [{ job: letter, ids: [id], label: 'x', key: 'k' }, by],
  postponeWork: [
    { job: letter, label: 'x' },
    { ...by, startAfter: at },
  ],
  prioritiseWork: [
    { job: letter, all: true },
    { ...by, priority: 1 },
  ],
  redriveDeadLetters: [{ filter: { name: 'letter', errorCode: 'x' } }, { ...by, jobs: [letter] }],
  discardDeadLetters: [{ ids: [id] }, by],
  actOnMany: [
    {
      ...by,
      kind: 'redrive',
      which: {
        name: 'letter',
        label: 'x',
        labelPart: 'x',
        key: 'k',
        errorCode: 'x',
        shown: { field: 'x', value: 'x' },
        runs: { name: 'letter', from: at, minDurationMs: 1 },
      },
      jobs: [letter],
    },
  ],
}

/** Of schedules that are data: those that change some take a transaction or a client and the job first. */
const SCHEDULES: Record<string, Arguments> = {
  upsert: [
    {
      ...by,
      ...{
        key: 'k',
        cron: '0 9 * * *',
        timeZone: 'UTC',
        payload: {},
        missed: 'once',
        overlap: 'skip',
      },
      ...{
        catchUpMs: 5,
        jitterMs: 5,
        startsAt: at,
        endsAt: new Date(8e12),
        allowSeconds: true,
        ifVersion: 0,
      },
    },
  ],
  upsertMany: [[{ key: 'k', cron: '0 9 * * *' }]],
  pause: ['k', by],
  resume: ['k', by],
  trigger: ['k', by],
  backfill: ['k', { ...by, from: at, to: at }],
  delete: ['k', { ...by, ifVersion: 2 }],
  list: [
    { name: 'letter', search: 'k', state: 'late', limit: 5, after: { name: 'letter', key: 'k' } },
  ],
  get: [{ name: 'letter', key: 'k' }],
  ticks: [{ name: 'letter', key: 'k', limit: 5, before: after.at }],
  preview: [
    {
      cron: '0 9 * * *',
      timeZone: 'UTC',
      startsAt: at,
      endsAt: new Date(8e12),
      after: at,
      count: 5,
    },
  ],
}
const READS_SCHEDULES = ['list', 'get', 'ticks', 'preview']

const LIMITS: Record<string, Arguments> = {
  set: [{ job: letter }, { global: 5 }, by],
  list: [],
}
const KEYS: Record<string, Arguments> = {
  set: [letter, 'k', { perKey: 2, weight: 5, paused: at }, by],
  list: [letter, { key: 'k', limit: 5 }],
}

/** They compute with what this package has returned, or keep the database, and take no reader. */
const OTHERS = [
  // Checks, which everyCall.test.ts tries by those that they serve.
  ...['asItIs', 'checkBoolean', 'checkDate', 'checkFunction', 'checkJobs', 'checkOptions'],
  ...['checkParts', 'checkText', 'checkTimerMs', 'listOf', 'loggerOf', 'nullable', 'objectOf'],
  ...['oneOf', 'optional', 'tell', 'wholeNumber'],
  'checkMigrations',
  'connectionProblem',
  'connectionSettings',
  'containedLog',
  'createInquiry',
  'createLocalTime',
  'createUsualFailures',
  'describeBacklog',
  'describeConnections',
  'findHeldSlots',
  'describeProblem',
  'findFailedLast',
  'exportRows',
  'findLastAction',
  'findLastActionOfJob',
  'listRunWaits',
  'isConnectionLoss',
  'isSnapshotOld',
  'isTimeOfDay',
  'isWorkerSilent',
  'judgeFailures',
  'judgeJobs',
  'judgeSchedule',
  'migrationSql',
  'nameSnapshotHolder',
  'describeUnvacuumed',
  'nextTicks',
  'payloadProblem',
  'keyProblem',
  'prismaModels',
  'readAskedSettings',
  'readFailures',
  'readRunLinks',
  'statementName',
  'tellWaits',
  'tryUntilFree',
  'uninstallSql',
]

interface Call {
  name: string
  arguments: Arguments
  call: (...args: unknown[]) => unknown
}

function listCalls(): Call[] {
  const functionOf = (name: string) =>
    ({ ...internal, ...entry } as never)[name] as (...args: unknown[]) => unknown
  const method = (name: string) => (client as never)[name] as (...args: unknown[]) => unknown
  const calls = (
    of: Record<string, Arguments>,
    call: (name: string, args: unknown[]) => unknown,
  ): Call[] =>
    Object.entries(of).map(([name, given]) => ({
      name,
      arguments: given,
      call: (...args) => call(name, args),
    }))
  return [
    ...calls(READING, (name, args) => functionOf(name)(client.reader, ...args)),
    ...calls(METHODS, (name, args) => {
      if (!name.startsWith('enqueue')) return method(name)(...args)
      if (name.endsWith('Now')) return method(name)(letter, ...args)
      return runtime.prisma.$transaction(async (tx) => await method(name)(tx, letter, ...args))
    }),
    ...calls(SCHEDULES, (name, args) => {
      const call = client.schedules[name as 'get'] as (...args: unknown[]) => unknown
      return READS_SCHEDULES.includes(name) ? call(...args) : call(null, letter, ...args)
    }),
    ...calls(LIMITS, (name, args) =>
      (client.limits[name as 'list'] as (...args: unknown[]) => unknown)(...args),
    ),
    ...calls(KEYS, (name, args) =>
      (client.keys[name as 'list'] as (...args: unknown[]) => unknown)(
        ...(args as [typeof letter]),
      ),
    ),
    // Where the transaction and the job themselves are what is foreign.
    ...calls(
      { enqueue: [null, letter, {}], result: [letter, id, { timeoutMs: 0 }] },
      (name, args) => method(name)(...args),
    ),
    ...calls({ readerIn: [null] }, (_name, [tx]) => {
      client.readerIn(tx as never)
    }),
    ...calls(
      { watchChanges: [{ onChange: () => undefined, onGap: () => undefined, probeMs: 5_000 }] },
      async (_name, [options]) => await client.watchChanges(options as never).close(),
    ),
    ...calls(
      { createJobsClient: [{ databaseUrl: runtime.url, schema: 'public' }] },
      async (_name, [options]) => await entry.createJobsClient(options as never).stop(),
    ),
    ...calls(
      { openReader: [{ databaseUrl: runtime.url, poolSize: 1, statementTimeoutMs: 5_000 }] },
      async (_name, [options]) => await entry.openReader(options as never).close(),
    ),
  ]
}

type Path = readonly (string | number)[]

/** All that could be foreign: each argument, and each part of one. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value ?? 0) === Object.prototype
  if (!isPlain) return [path]
  // The rest of a job its definition has checked.
  if (value === letter) return [path, [...path, 'name'], [...path, 'payload']]
  return [
    path,
    ...Object.entries(value as object).flatMap(([key, part]) => pathsIn(part, [...path, key])),
  ]
}

function replaceAt(value: unknown, [key, ...rest]: Path, other: unknown): unknown {
  if (key === undefined) return other
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as never
  Object.assign(copy, { [key]: replaceAt((value as never)[key], rest, other) })
  return copy
}

async function outcomeOf(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return null
  } catch (error) {
    return error
  }
}

const isOurs = (error: unknown) =>
  error === null || error instanceof ArgumentError || error instanceof JobError

const ODD_TEXTS = ['nope', '\0', '\ud83d', '', id.toUpperCase(), "x' or true --", '1; select 1']
const ODD_NUMBERS = [Number.NaN, -1, 0, 0.5, 2 ** 31, 1e21, Infinity, -Infinity]
const ODD_DATES = [new Date(Number.NaN), new Date(8.64e15), new Date(-8.64e15), new Date(-7e13)]
const near = fc.constantFrom<unknown>(...ODD_TEXTS, ...ODD_NUMBERS, ...ODD_DATES, null, undefined)
const far = hostileValue({ maxCount: 20_000, maxLevels: 1_000 })
const foreign = fc.oneof(
  near.map((value) => ({ make: () => value })),
  far.map((value: HostileValue) => ({ make: () => makeHostile(value) })),
)

describe('what a program passes in', () => {
  it('is tried of every function that there is', () => {
    const isFunction = (of: object, name: string) =>
      typeof (of as Record<string, unknown>)[name] === 'function'
    const isClass = (name: string) => name.endsWith('Error')
    // What takes over another's queue is a command, which has tests of its own.
    const isImport = (name: string) => name.startsWith('import')
    const entries = { ...internal, ...entry }
    const exported = Object.keys(entries).filter(
      (name) => isFunction(entries, name) && !isClass(name) && !isImport(name),
    )
    const methods = [client, client.schedules, client.limits, client.keys].flatMap((of) =>
      Object.keys(of).filter((name) => isFunction(of, name)),
    )
    const tried = new Set([...listCalls().map(({ name }) => name), ...OTHERS])
    const takeNothing = ['start', 'stop', 'areConnectionsLasting']
    expect(new Set([...exported, ...methods])).toEqual(new Set([...tried, ...takeNothing]))
  })

  it('works, where it is as it should be', async () => {
    for (const { name, arguments: args, call } of listCalls()) {
      const error = await outcomeOf(() => call(...args))
      const lacksTransaction = error instanceof ArgumentError && error.argument === 'tx'
      expect([name, lacksTransaction ? null : error]).toEqual([name, null])
    }
  })

  it('is refused by an error that names it, whatever it is, and never by PostgreSQL', async () => {
    // What only our own packages call, they have checked.
    const calls = listCalls().filter(
      ({ name, arguments: args }) => args.length > 0 && !(name in internal),
    )
    const anyCall = fc.constantFrom(...calls).chain((of) =>
      fc.record({
        of: fc.constant(of),
        path: fc.constantFrom(...pathsIn(of.arguments).filter((path) => path.length > 0)),
      }),
    )
    await fc.assert(
      fc.asyncProperty(anyCall, foreign, async ({ of, path }, { make }) => {
        const args = replaceAt(of.arguments, path, make()) as unknown[]
        const error = await outcomeOf(() => of.call(...args))
        expect([of.name, path, isOurs(error) ? null : error]).toEqual([of.name, path, null])
      }),
      { numRuns: 1_500 },
    )
  })

  it.each<[string, Path, unknown, string]>([
    [
      'cancelWork',
      [0, 'ids', 0],
      'nope',
      'ids[0] must be a UUID, as the engine returns it, not "nope"',
    ],
    ['cancelWork', [0], { job: letter }, 'which has to say which work is meant'],
    ['cancelWork', [0, 'label'], 'a\0b', 'label holds a NUL character or half of a surrogate pair'],
    ['result', [1], 'nope', 'workId must be a UUID'],
    ['result', [2, 'timeoutMs'], Number.NaN, 'timeoutMs must be a number of milliseconds'],
    ['pauseQueue', [0], 'a\ud83d', 'name holds a NUL character or half of a surrogate pair'],
    ['pauseQueue', [1, 'actor'], undefined, 'actor must be a text, not undefined'],
    ['postponeWork', [1, 'startAfter'], new Date(8.64e15), 'startAfter must be a valid date'],
    ['redriveDeadLetters', [0], 'some', 'which must be an object with ids, filter'],
    ['discardDeadLetters', [0], { runs: {} }, 'runs is unknown: the options are ids, filter'],
    ['discardDeadLetters', [0, 'ids'], 'some', 'ids must be a list, not "some"'],
    [
      'listJobRuns',
      [0, 'limit'],
      Number.NaN,
      'limit must be a whole number from 1 to 10000, not NaN',
    ],
    ['listJobRuns', [0, 'limit'], '1; select 1', 'limit must be a whole number'],
    ['listJobRuns', [0, 'outcome'], 'dead', 'outcome must be one of running, success, failed'],
    ['listJobRuns', [0, 'trigger'], 'nobody', 'trigger must be one of schedule, queue'],
    ['listJobRuns', [0, 'status'], "x' or true", 'status must be one of running, success, failed'],
    ['listJobRuns', [0, 'after', 'at'], '2026-02-30 00:00:00+00', 'after.at must be an instant'],
    ['listJobRuns', [0, 'from'], new Date(Number.NaN), 'from must be a valid date'],
    ['getManyWork', [1], Array(100_001).fill(id), 'workIds must have at most 100000 items'],
  ])('of %s, %j: %j', async (name, path, value, problem) => {
    const of = listCalls().find((call) => call.name === name) as Call
    const args = replaceAt(of.arguments, path, value) as unknown[]
    const error = await outcomeOf(() => of.call(...args))
    expect(error).toBeInstanceOf(ArgumentError)
    expect(error).toMatchObject({
      code: 'argument_invalid',
      message: expect.stringContaining(problem),
    })
  })

  it('leaves the transaction whole in which it was refused', async () => {
    const workId = await runtime.prisma.$transaction(async (tx) => {
      const work = await client.enqueue(tx, letter, {})
      const which = { job: letter, ids: ['nope'] }
      await expect(client.cancelWork(which, by, { tx })).rejects.toThrow(ArgumentError)
      return work.workId
    })
    expect(await entry.getWork(client.reader, letter, workId)).toMatchObject({
      kind: 'waiting',
    })
  })

  it('is a transaction of the caller only where one belongs', async () => {
    const before = await runtime.rows('select * from "JobAction"')
    /** As Kysely's: it has no property of its own. */
    const tx = new (class Transaction {
      readonly #driver = runtime.prisma
      get driver() {
        return this.#driver
      }
    })()
    const acts = [...listCalls().filter(({ name }) => name in METHODS || name === 'set')].filter(
      ({ name }) => !name.startsWith('enqueue') && name !== 'explain',
    )
    expect(acts.length).toBeGreaterThan(15)
    for (const { name, arguments: given, call } of acts) {
      const args = given.filter((part) => !Object.hasOwn(Object(part) as object, 'tx'))
      const among = args.map((part) =>
        Object.hasOwn(Object(part) as object, 'actor') ? { ...(part as object), tx } : part,
      )
      for (const misplaced of [[...args, tx], among]) {
        const error = await outcomeOf(() => call(...misplaced))
        expect([name, error]).toEqual([name, expect.any(ArgumentError)])
        expect(String(error)).toContain('as { tx }')
      }
    }
    expect(await runtime.rows('select * from "JobAction"')).toEqual(before)
  })

  it('may have its ids in upper case', async () => {
    const { workId } = await client.enqueueNow(letter, {})
    const upper = workId.toUpperCase()
    expect(await entry.getWork(client.reader, letter, upper)).toMatchObject({ kind: 'waiting' })
    expect(await client.cancelWork({ job: letter, ids: [upper] }, by)).toMatchObject({
      done: 1,
    })
  })
})
