// Not quick: starts processes.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { waitFor } from '@roundsman/testing'
import { pino, type Logger } from 'pino'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createSchema } from '../../src/database/schema.ts'
import { Abort } from '../../src/run/abort.ts'
import type { Progress } from '../../src/run/progress.ts'
import type { RunResult } from '../../src/run/executeRun.ts'
import { createIsolation, type Isolation } from '../../src/isolation/isolation.ts'
import { probe } from '../fixtures/isolated.ts'

// None of these tests needs a database.
const STARVED = new URL('../fixtures/starvedProcess.ts', import.meta.url).pathname
const MODULE = new URL('../fixtures/isolatedHandlers.ts', import.meta.url)

const FACTS = {
  scheduledFor: '2026-03-29T01:00:00.000Z',
  schedule: {
    key: 'tenant-42',
    timeZone: 'Europe/Lisbon',
    previousAt: '2026-03-28T01:00:00.000Z',
  },
}

let isolation: Isolation
let lines: Record<string, unknown>[]
let log: Logger

beforeEach(() => {
  lines = []
  log = pino({}, { write: (line) => void lines.push(JSON.parse(line)) })
})

afterEach(() => isolation.stop())

const schema = createSchema('public')

function open(options: { idleMs?: number; maxRuns?: number } = {}): void {
  isolation = createIsolation({
    handlersModule: MODULE.href,
    jobs: [probe],
    databaseUrl: 'postgres://127.0.0.1:1/none',
    schema,
    workerId: 'w1',
    log,
    ...options,
  })
}

function run(
  act: string,
  abort = new Abort('probe', 'a', 1_000),
  keepProgress: (progress: Progress) => Promise<void> = async () => undefined,
): Promise<RunResult> {
  return isolation.execute({
    taken: { id: 'a', name: 'probe', attempt: 2, payload: { act }, facts: FACTS },
    retriesLeft: 1,
    job: probe,
    handler: () => Promise.reject(new Error('it ran here')),
    client: { $transaction: () => Promise.reject(new Error('it ran here')) },
    workerId: 'w1',
    schema,
    openLog: () => log,
    now: () => new Date(),
    abort,
    approvedRows: null,
    keepProgress,
    write: async () => undefined,
    enqueue: () => Promise.reject(new Error('it ran here')),
  })
}

const pids = () => lines.filter(({ msg }) => msg === 'acting').map(({ childPid }) => childPid)
const isGone = (pid: unknown) => {
  try {
    return !process.kill(pid as number, 0)
  } catch {
    return true
  }
}

it('ends a process that nobody has needed for a while, after it could close what it had opened', async () => {
  open({ idleMs: 1 })
  expect(await run('misuseChannel')).toMatchObject({ status: 'success' })

  await waitFor(() => isGone(pids()[0]))
  expect(lines.map(({ msg }) => msg)).toContain('handlers closed')
})

it('replaces a process that has carried out as many runs as it may', async () => {
  open({ maxRuns: 2 })
  for (let n = 0; n < 3; n++) await run('misuseChannel')

  const [first, second, third] = pids()
  expect(second).toBe(first)
  expect(third).not.toBe(first)
  await waitFor(() => isGone(first))
})

it.each(['leaveExit', 'leaveLoop', 'leaveMemory'])(
  'gives no other run to a process that is not at rest after the last: %s',
  async (act) => {
    open()
    expect(await run(act)).toMatchObject({ status: 'success' })
    expect(await run('misuseChannel')).toMatchObject({ status: 'success' })

    const [first, second] = pids()
    expect(second).not.toBe(first)
    await waitFor(() => isGone(first))
  },
)

it('takes nothing that a run says late for the next one’s', async () => {
  open()
  await run('leaveReports')
  const kept: Progress[] = []
  await run('report', new Abort('probe', 'a', 1_000), async (progress) => void kept.push(progress))

  expect(pids()[1]).toBe(pids()[0])
  expect(kept.at(-1)).toEqual({ done: 2, total: 3 })
  expect(kept.filter(({ done }) => done === 99)).toEqual([])
  expect(lines.map(({ msg }) => msg)).toContain('late')
})

it('goes on when its service is told to stop', async () => {
  open()
  expect(await run('stay')).toMatchObject({ status: 'success' })
})

it.runIf(process.platform === 'linux')('is what the kernel ends first', async () => {
  open()
  expect(await run('reportProcess')).toMatchObject({ details: { oomScore: '500' } })
})

it('hands the handler its run with its dates', async () => {
  open()
  expect(await run('reportRun')).toMatchObject({
    status: 'success',
    details: {
      ...{ id: 'a', name: 'probe', trigger: 'queue', attempt: 2, retriesLeft: 1, dryRun: false },
      ...FACTS,
    },
  })
})

it('fails the run of a handler that closes what is not its own', async () => {
  open()
  expect(await run('closeAll')).toMatchObject({
    status: 'failed',
    error: { code: 'handler_crashed' },
    retryable: true,
  })
  await waitFor(() => isGone(pids()[0]))
})

it('fails the run for which no process can be started, and goes on', async () => {
  open()
  const program = [process.execPath, '--conditions=@roundsman/source', STARVED]
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    'ulimit -n 200 && exec "$@"',
    'sh',
    ...program,
  ])

  expect(JSON.parse(stdout)).toMatchObject([
    {
      error: {
        code: 'handler_crashed',
        message: expect.stringMatching(/^The process of the run could not be started: .*EMFILE/),
      },
    },
    { error: { code: 'handlers_module_failed' } },
  ])
})

it('starts no process for a run that is aborted already', async () => {
  open()
  const abort = new Abort('probe', 'a', 1_000)
  abort.abort(new Error('too late'))

  expect(await run('misuseChannel', abort)).toMatchObject({ error: { message: 'too late' } })
  expect(lines).toEqual([])
})

it('has ended everything once it has stopped', async () => {
  open()
  await run('misuseChannel')
  const looping = run('loop')
  await waitFor(() => pids().length === 2)
  await isolation.stop()

  expect(pids().filter((pid) => !isGone(pid))).toEqual([])
  expect(await looping).toMatchObject({ error: { code: 'handler_crashed' } })
})
