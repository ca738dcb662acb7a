// Processes: kills isolated runs and their workers.
import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'
import type { PrismaClient } from '@roundsman/db'
import { spawnProcess, waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob, type Job, type PayloadOf } from '../../src/index.ts'
import { createWorker, runOnce, type Worker, type WorkerOptions } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { readWorkStates } from '../readWorkStates.ts'
import {
  beside,
  brief,
  CREATE_ISOLATED,
  EFFECTS,
  jobs,
  orphan,
  probe,
  steady,
} from '../fixtures/isolated.ts'
import { noClock } from '../fixtures/noClock.ts'
import type { RunRow } from '../readRuns.ts'

const MODULE = new URL('../fixtures/isolatedHandlers.ts', import.meta.url)
const WORKER = new URL('../fixtures/isolatedProcess.ts', import.meta.url).pathname
const PATIENCE = { timeoutMs: 25_000 }

const { runtime, client } = useClientRuntime()
let worker: Worker | undefined
/** Whether the worker has no options of its own, so that many tests share it. */
let isPlain = false
/** The children that this worker has had. */
const pidsOfWorker = new Set<number>()
let calls: string[]

beforeAll(() => runtime.rows(CREATE_ISOLATED))

afterAll(() => stopWorker())

beforeEach(async () => {
  await runtime.clear('Effect', 'Gate')
  runtime.lines.length = 0
  calls = []
})

afterEach(async () => {
  for (const pid of childPids()) pidsOfWorker.add(pid)
  const isBusy = (await runtime.rows('select from "JobClaim"')).length > 0
  if (isBusy || !isPlain) await stopWorker()
})

/** Without options it reuses the worker that the test before has left idle, if there is one. */
async function startWorker(
  options?: Partial<Pick<WorkerOptions<typeof jobs, PrismaClient>, 'handlersModule'>>,
): Promise<void> {
  if (isPlain && options === undefined) return
  await stopWorker()
  const here = (name: string) => async () => void calls.push(name)
  worker = createWorker({
    ...runtime.workerOptions,
    jobs,
    handlers: {
      probe: here('probe'),
      brief: here('brief'),
      steady: here('steady'),
      orphan: here('orphan'),
      beside: here('beside'),
    },
    handlersModule: MODULE,
    clock: noClock,
    ...options,
  })
  await worker.start()
  isPlain = options === undefined
}

async function stopWorker(): Promise<void> {
  isPlain = false
  await worker?.stop({ drainTimeoutMs: 0 })
  worker = undefined
  const left = [...pidsOfWorker].filter(isAlive)
  pidsOfWorker.clear()
  if (left.length > 0) throw new Error(`The processes ${left.join(', ')} are left`)
}

const runs = (name = 'probe') =>
  runtime.rows<RunRow>(
    'select * from "JobRunAll" where "name" = $1 order by "startedAt", "attempt"',
    [name],
  )
const effectsOf = (runId: string) =>
  runtime.value<number>('select count(*)::int n from "Effect" where "runId" = $1', [runId])

const send = <J extends Job>(job: J, payload: PayloadOf<J>) => client.enqueueNow(job, payload)
const act = (name: (typeof probe extends Job<string, infer P> ? P : never)['act'], more = {}) =>
  send(probe, { act: name, n: 0, text: '', ...more })

async function ended(name = 'probe', count = 1): Promise<RunRow[]> {
  return await waitFor(async () => {
    const found = (await runs(name)).filter(({ endedAt }) => endedAt)
    return found.length >= count ? found : null
  }, PATIENCE)
}

const acting = () =>
  waitFor(
    () => runtime.lines.find(({ msg }) => msg === 'acting')?.childPid as number | undefined,
    PATIENCE,
  )
const childPids = () =>
  runtime.lines.flatMap(({ childPid, otherPid }) => (childPid ?? otherPid ?? []) as number)

/** Has a worker in a process of its own carry a run out. */
async function startVictim(how: Parameters<typeof act>[0]) {
  await stopWorker()
  const victim = spawnProcess(WORKER, { args: [runtime.url] })
  await victim.waitForLine('Jobs scheduler enabled', PATIENCE)
  await act(how)
  const line = await victim.waitForLine('"acting"', PATIENCE)
  return { victim, ...(JSON.parse(line) as { childPid: number }) }
}

const cancelAll = () =>
  runtime.rows(
    `insert into "JobCancel" ("runId", "name", "requestedBy")
     select "id", "name", 'a' from "JobRunAll" where "status" = 'running'`,
  )

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** As `ps` tells it: T where it is stopped. */
const stateOf = async (pid: number) =>
  (await promisify(execFile)('ps', ['-o', 'stat=', '-p', `${pid}`])).stdout

describe('an isolated run', () => {
  it('is carried out in a process of its own, recorded and counted like any other', async () => {
    await startWorker()
    await act('work', { n: 7, text: 'x'.repeat(8_000_000) })

    const [run] = await ended()
    expect(run).toMatchObject({
      status: 'success',
      attempt: 1,
      details: { effects: 1, batches: 1, length: 8_000_000 },
    })
    expect(run!.details!.pid).not.toBe(process.pid)
    expect(calls).toEqual([])
    expect(await effectsOf(run!.id)).toBe(1)
    expect(await readWorkStates(runtime.rows)).toEqual(['completed'])
  })

  it('leaves its process to the next run of its job, and to none that comes after a failure', async () => {
    await startWorker()
    const pids: unknown[] = []
    for (const n of [1, 2]) {
      await act('work', { n })
      pids.push((await ended('probe', n)).at(-1)!.details!.pid)
    }
    await act('fail', { n: 3, text: ', a secret' })
    expect((await ended('probe', 3)).at(-1)).toMatchObject({
      status: 'failed',
      details: {
        effects: 1,
        tried: 1,
        error: { code: 'no_luck', message: 'It was not to be, [hidden]' },
      },
    })
    expect(isAlive(pids[0] as number)).toBe(false)
    await act('work', { n: 4 })
    pids.push((await ended('probe', 4)).at(-1)!.details!.pid)

    expect(pids[1]).toBe(pids[0])
    expect(pids[2]).not.toBe(pids[0])
  })

  it('writes into the log of the worker, under its own name, and not without end', async () => {
    await startWorker()
    await act('talk', { n: 5 })
    const [run] = await ended()

    const mine = runtime.lines.filter(({ runId }) => runId === run!.id)
    expect(mine.find(({ msg }) => msg === 'said by the handler')).toMatchObject({
      level: 40,
      name: 'probe',
      attempt: 1,
      n: 5,
      err: { type: 'Error', message: 'told' },
    })
    expect(mine.filter(({ msg }) => msg === 'isolated run printed')).toMatchObject([
      { stream: 'stdout', text: 'printed by the handler' },
      { stream: 'stderr', text: 'complained by the handler' },
    ])
    const repeated = mine.filter(({ msg }) => msg === 'again and again').length
    expect(repeated).toBeGreaterThan(100)
    expect(repeated).toBeLessThan(5_000)
    const notes = mine.filter(({ msg }) => msg === 'log lines of an isolated run were left out')
    expect(notes.length).toBeGreaterThan(0)
    expect(notes.length).toBeLessThan(100)
    const [kept] = await runtime.rows<{ lines: unknown[]; earlier: number }>(
      `select "logs" -> 'lines' as "lines", ("logs" ->> 'earlier')::int as "earlier" from "JobRun"`,
    )
    expect(kept!.lines).toHaveLength(100)
    expect(kept!.earlier).toBe(
      mine.filter(({ msg }) => !String(msg).startsWith('job run')).length - 100,
    )
  })

  it('reports its progress, and enqueues with its batch or not at all', async () => {
    await startWorker()
    await act('report')
    expect((await ended())[0]).toMatchObject({ status: 'success', progress: { done: 2, total: 3 } })
    await act('follow')
    const [, follow] = await ended('probe', 2)
    await ended('beside')

    expect(await runs('beside')).toMatchObject([{ parentId: follow!.id }])
    expect(calls).toEqual(['beside'])
  })

  it('is stopped by its guard', async () => {
    await startWorker()
    await act('guarded', { n: 11 })

    expect((await ended())[0]).toMatchObject({
      status: 'failed',
      details: { guard: { due: 11, allowed: 10 }, error: { code: 'guard_blocked' } },
    })
    const [{ id }] = (await runs()) as [RunRow]
    await client.approveRun(id, { actor: 'a', reason: 'r' })
    expect((await ended('probe', 2))[1]).toMatchObject({
      status: 'success',
      details: { effects: 1, guard: { due: 11, allowed: 11 } },
    })
  })

  it('can be tried out', async () => {
    await startWorker()
    await client.requestRun(probe, {
      actor: 'a',
      reason: 'r',
      dryRun: true,
      payload: { act: 'work', n: 1 },
    })

    expect((await ended())[0]).toMatchObject({ status: 'success', details: { effects: 1 } })
    expect(await runtime.rows('select * from "Effect"')).toEqual([])
  })

  it('shares the processors with no more than there are', async () => {
    await startWorker()
    const most = Math.min(availableParallelism(), 10)
    for (let n = 0; n <= most; n++) await send(brief, { act: 'obey', n, text: '' })
    await acting()
    const running = (await runs('brief')).filter(({ status }) => status === 'running')

    expect(running).toHaveLength(most)
  })

  it('has no channel that could be mistaken for the worker’s', async () => {
    await startWorker()
    await act('misuseChannel')

    expect((await ended())[0]).toMatchObject({ status: 'success', details: { hasChannel: false } })
  })
})

describe('an isolated run that ends its process', () => {
  // Each of these starts a child process of its own then.
  beforeAll(stopWorker)

  it.each([
    ['exit', 'ended with exit code 0'],
    ['die', 'was ended by SIGABRT'],
    ['reject', 'ended with exit code 1: Error: nobody caught [hidden]'],
    ['throwLater', 'ended with exit code 1: RangeError: out of a timer'],
    ['fillHeap', 'was ended by SIGABRT: its heap was full (128 MB)'],
    ['fillBuffers', 'MB of memory, more than 128 MB and 256 MB beside the heap'],
    ['garble', 'sent an invalid message'],
    ['startOthers', 'ended with exit code 3'],
  ] as const)('by %s fails, and says how', { timeout: 60_000 }, async (how, message) => {
    await startWorker()
    await act(how, { text: 'a secret' })
    const [run] = await ended()

    expect(run).toMatchObject({ status: 'failed', details: { error: { code: 'handler_crashed' } } })
    expect(run!.details!.error!.message).toContain(message)
    const { stack } = run!.details!.error as { stack?: string }
    expect(how !== 'reject' || stack?.includes('isolatedHandlers.ts')).toBe(true)
    expect(childPids().length).toBe(how === 'startOthers' ? 3 : 2)
    await waitFor(() => childPids().every((pid) => !isAlive(pid)))
    // The worker did not notice, and goes on.
    await send(beside, {})
    expect(await ended('beside')).toMatchObject([{ status: 'success' }])
  })

  it('by nothing but a value that JSON has not, ends well', async () => {
    await startWorker()
    await act('returnBigint')
    expect(await ended()).toMatchObject([{ status: 'success', details: { count: 1 } }])
  })

  it('by nothing but that it returns too much, ends as one in this process does', async () => {
    await startWorker()
    await act('returnTooMuch')
    expect(await ended()).toMatchObject([
      { status: 'failed', details: { error: { code: 'details_too_large' } } },
    ])
  })

  it('by a service that refuses more, waits without the cost of an attempt', async () => {
    await startWorker()
    await act('refuse')
    const refused = { status: 'failed', errorCode: 'rate_limited' }
    expect(await ended('probe', 2)).toMatchObject([refused, refused])
    await stopWorker()
    expect(await readWorkStates(runtime.rows)).toEqual(['retry'])
  })

  it('counts what it has committed and nothing else, and is tried again', async () => {
    await startWorker()
    await send(steady, {})
    const pid = await acting()
    await waitFor(async () => ((await runs('steady'))[0]?.details?.effects ?? 0) > 5)
    process.kill(pid, 'SIGKILL')

    await waitFor(async () => (await runs('steady')).some(({ status }) => status === 'success'), {
      timeoutMs: 25_000,
    })
    const [killed, second] = await runs('steady')
    expect(killed).toMatchObject({
      status: 'failed',
      details: { error: { code: 'handler_crashed', message: expect.stringContaining('SIGKILL') } },
    })
    expect(killed!.details!.effects).toBe(await effectsOf(killed!.id))
    expect(second!.details!.effects).toBe(await effectsOf(second!.id))
    expect(killed!.details!.effects! + second!.details!.effects!).toBe(EFFECTS)
  })
})

describe('an isolated run that does not end', () => {
  it.each(['loop', 'ignore'] as const)(
    'ends by its time-out: %s',
    { timeout: 60_000 },
    async (how) => {
      await startWorker()
      await send(brief, { act: how, n: 0, text: '' })
      const pid = await acting()

      expect(await ended('brief')).toMatchObject([
        { status: 'failed', details: { error: { code: 'timeout' } } },
      ])
      expect(isAlive(pid)).toBe(false)
    },
  )

  it('holds up nobody, and is ended by whoever cancels it', { timeout: 60_000 }, async () => {
    await startWorker()
    await act('spin')
    await acting()
    for (let n = 0; n < 20; n++) await send(beside, {})
    await ended('beside', 20)
    expect(await runs()).toMatchObject([{ status: 'running' }])
    await cancelAll()

    expect(await ended()).toMatchObject([
      {
        status: 'failed',
        details: { error: { code: 'cancelled', message: 'Somebody cancelled the run' } },
      },
    ])
  })

  it('is told so first', { timeout: 60_000 }, async () => {
    await startWorker()
    await act('obey')
    await acting()
    await cancelAll()

    expect(await ended()).toMatchObject([{ details: { error: { code: 'cancelled' } } }])
    expect(runtime.lines.find(({ msg }) => msg === 'heard')).toMatchObject({
      err: { type: 'JobError', code: 'cancelled', retryable: false },
    })
  })

  it('is ended by a drain, and given back', { timeout: 60_000 }, async () => {
    await startWorker()
    await act('loop')
    const pid = await acting()
    await stopWorker()

    expect(isAlive(pid)).toBe(false)
    expect(await runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'drained' } } },
    ])
    expect(await readWorkStates(runtime.rows)).toEqual(['retry'])
  })

  it('can commit nothing once another worker has ended it', { timeout: 60_000 }, async () => {
    await startWorker()
    await send(steady, {})
    await acting()
    await waitFor(async () => ((await runs('steady'))[0]?.details?.effects ?? 0) > 5)
    const [taken] = await runtime.rows<RunRow>(
      `update "JobRun" set "status" = 'failed', "errorCode" = 'worker_lost', "endedAt" = now() returning *`,
    )
    await waitFor(() =>
      runtime.lines.some(({ msg }) => msg === 'job run lost: another worker has ended it'),
    )

    expect(await effectsOf(taken!.id)).toBe(taken!.details!.effects)
    expect((await runs('steady'))[0]!.details).toEqual(taken!.details)
  })

  it('is gone with a worker that is SIGKILLed while it blocks', { timeout: 60_000 }, async () => {
    const { victim, childPid } = await startVictim('loop')
    expect(isAlive(childPid)).toBe(true)
    await victim.kill('SIGKILL')

    await waitFor(() => !isAlive(childPid))
  })

  it(
    'is gone with a worker that is SIGKILLed while it is stopped',
    { timeout: 60_000 },
    async () => {
      const { victim, childPid } = await startVictim('obey')
      process.kill(childPid, 'SIGSTOP')
      await waitFor(async () => (await stateOf(childPid)).startsWith('T'))
      expect(isAlive(childPid)).toBe(true)
      await victim.kill('SIGKILL')

      await waitFor(() => !isAlive(childPid))
    },
  )
})

describe('what an isolated run has started', () => {
  it.each([
    ['with a worker that is SIGKILLed while the process of the run rests', false],
    ['with a worker that is SIGKILLed together with the process of the run', true],
  ])('is gone %s', { timeout: 60_000 }, async (_when, isTogether) => {
    const { victim, childPid } = await startVictim('leaveOther')
    const line = await victim.waitForLine('"started another"', PATIENCE)
    const { otherPid } = JSON.parse(line) as { otherPid: number }
    await ended()
    expect(isAlive(otherPid)).toBe(true)
    if (isTogether) {
      // A worker that noticed the end of the process would end the rest.
      process.kill(victim.pid, 'SIGSTOP')
      process.kill(childPid, 'SIGKILL')
      await waitFor(async () => (await stateOf(victim.pid)).startsWith('T'))
    }
    await victim.kill('SIGKILL')

    await waitFor(() => !isAlive(otherPid))
  })
})

describe('a module of handlers', () => {
  const source = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`

  it('is demanded for an isolated job, by name', () => {
    const create = (handlersModule?: string) =>
      createWorker({
        ...runtime.workerOptions,
        jobs: [steady, beside],
        handlers: { steady: async () => undefined, beside: async () => undefined },
        ...(handlersModule !== undefined && { handlersModule }),
      })

    expect(() => create()).toThrow(TypeError)
    expect(() => create()).toThrow(
      'handlersModule is missing, and steady must run isolated; set handlersModule',
    )
    expect(() => create('./handlers.js')).toThrow('not "./handlers.js"; give new URL(')
  })

  it('that lacks the handler fails the run, and nothing else', async () => {
    await startWorker()
    await send(orphan, {})

    expect(await ended('orphan')).toMatchObject([
      {
        status: 'failed',
        details: {
          error: { code: 'handler_missing', message: "The handlers' module has no job orphan" },
        },
      },
    ])
  })

  it.each([
    ['throws', `throw new Error('no such luck')`, 'handlers_module_failed', 'no such luck'],
    [
      'has no function',
      `export const openHandlers = {}`,
      'handlers_module_failed',
      'it exports no function openHandlers',
    ],
    [
      'opens too little',
      `export const openHandlers = async () => null`,
      'handlers_module_failed',
      'must return { jobs, handlers, client }',
    ],
    ['ends the process', `process.exit(7)`, 'handler_crashed', 'ended with exit code 7'],
  ])('that %s fails the run', async (_what, text, code, message) => {
    await startWorker({ handlersModule: source(text) })
    await act('work')
    const [run] = await ended()

    expect(run).toMatchObject({ status: 'failed', details: { error: { code } } })
    expect(run!.details!.error!.message).toContain(message)
  })

  it.each([
    [
      'never answers',
      `export const openHandlers = () => new Promise(() => setInterval(() => {}, 1e6))`,
    ],
    ['blocks', `for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)`],
  ])('that %s is ended by the time-out', { timeout: 60_000 }, async (_what, text) => {
    await startWorker({ handlersModule: source(text) })
    await send(brief, { act: 'work', n: 0, text: '' })

    expect(await ended('brief')).toMatchObject([
      { status: 'failed', details: { error: { code: 'timeout' } } },
    ])
  })
})

describe('runOnce', () => {
  const once = (handlersModule?: URL) =>
    runOnce({
      ...runtime.runOptions,
      job: probe,
      handler: async () => void calls.push('here'),
      payload: { act: 'work', n: 1 },
      ...(handlersModule && { handlersModule }),
    })

  it('isolates a job when it is told where the handlers are', async () => {
    expect(await once(MODULE)).toMatchObject({
      kind: 'ended',
      run: { status: 'success', details: { effects: 1 } },
    })
    expect(calls).toEqual([])
    expect(runtime.lines.some(({ msg }) => msg === 'handlers closed')).toBe(true)
  })

  it('else runs it here', async () => {
    expect(await once()).toMatchObject({ kind: 'ended', run: { status: 'success' } })
    expect(calls).toEqual(['here'])
  })
})

describe('defineJob', () => {
  const isolated = (isolate: unknown) =>
    defineJob({ name: 'sweep', isolate: isolate as boolean }).isolate

  it('isolates what asks for it, with 512 MB', () => {
    expect(isolated(undefined)).toBe(null)
    expect(isolated(false)).toBe(null)
    expect(isolated(true)).toEqual({ memoryMb: 512 })
    expect(isolated({})).toEqual({ memoryMb: 512 })
    expect(isolated({ memoryMb: 64 })).toEqual({ memoryMb: 64 })
  })

  it('refuses what is neither true nor limits, and names the job', () => {
    expect(() => isolated('yes')).toThrow(/^Job "sweep": isolate/)
  })
})
