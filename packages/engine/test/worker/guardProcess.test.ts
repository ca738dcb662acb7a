// Processes: runs workers that their work ends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { spawnProcess, waitFor, type SpawnedProcess } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { useClientRuntime } from '../useClientRuntime.ts'
import { CREATE_EFFECTS, guilty, innocent, type Harm } from '../fixtures/guilty.ts'
import type { RunRow } from '../readRuns.ts'

const PROCESS = new URL('../fixtures/guiltyProcess.ts', import.meta.url).pathname

const { runtime, client } = useClientRuntime({ cleared: ['JobTick', 'JobSchedule', 'Effect'] })
let child: SpawnedProcess

beforeAll(() => runtime.rows(CREATE_EFFECTS))

async function startForAll(options: object = {}): Promise<void> {
  child = spawnProcess(PROCESS, { args: [runtime.url, JSON.stringify(options)] })
  await child.waitForLine('Jobs scheduler enabled', { timeoutMs: 30_000 })
}

/** Starts a process that ends with its test. */
async function start(options: object = {}): Promise<void> {
  onTestFinished(async () => void (await child.kill('SIGKILL')))
  await startForAll(options)
}
const harm = (how: Harm) =>
  runtime.prisma.$transaction((tx) => client.enqueue(tx, guilty, { harms: [how] }))
const leaveInPeace = (n: number, ms: number) =>
  runtime.prisma.$transaction((tx) => client.enqueue(tx, innocent, { n, ms }))
const runs = (name: string) =>
  runtime.rows<RunRow>('select * from "JobRunAll" where "name" = $1 order by "attempt"', [name])
const endOf = (name: string) =>
  waitFor(
    async () => {
      const [run] = await runs(name)
      return run !== undefined && run.status !== 'running' && run
    },
    { timeoutMs: 20_000 },
  )
const isUnderWay = (name: string) => waitFor(async () => (await runs(name)).length > 0)

describe('what a handler leaves to nobody', { timeout: 60_000 }, () => {
  beforeAll(() => startForAll())
  afterAll(() => child.kill('SIGKILL'))

  /** Waits for a line about this run: the worker has logged other runs before. */
  const lineOf = ({ id }: RunRow, text: string) => child.waitForLine(new RegExp(`"${id}".*${text}`))

  it.each([
    ['rejection', 'nobody catches for'],
    ['exception', 'in a timer'],
    ['hostile', ''],
    ['masked', ''],
    ['hopeless', 'No retry helps'],
    ['listeners', 'nobody hears any more'],
  ] as const)('%s: ends its own run at once, and no other', async (how, message) => {
    await leaveInPeace(1, 2_000)
    await isUnderWay('innocent')
    await harm(how)

    const run = await endOf('guilty')
    expect(run.details!.error).toMatchObject({
      code: 'handler_crashed',
      message: expect.stringContaining(message),
    })
    // The run ended before its handler had noticed.
    const harmed = child.stdout.filter((line) => line.includes('"harmed"'))
    expect(harmed.filter((line) => line.includes(run.id))).toEqual([])
    expect(await lineOf(run, 'a handler left an error behind, and its run ends')).toContain(
      `"runId":"${run.id}"`,
    )
    // The handler's next batch is refused.
    expect(await lineOf(run, '"harmed"')).toContain('handler_crashed')
    expect(await endOf('innocent')).toMatchObject({ status: 'success', attempt: 1 })
    expect(await runs('guilty')).toMatchObject([
      { details: expect.not.objectContaining({ afterwards: 1 }) },
    ])
  })

  it('that no logger could write to its end, is a short line', async () => {
    await harm('longList')
    const line = await lineOf(await endOf('guilty'), 'a handler left an error behind')
    expect(JSON.parse(line)).toMatchObject({ err: { message: '[list]' } })
  })

  it('after its run has ended: is a line in the log, and nothing else', async () => {
    await harm('late')
    const run = await endOf('guilty')
    const line = await lineOf(run, 'a handler left an error behind, after its run had ended')
    expect(JSON.parse(line)).toMatchObject({ runId: run.id, err: { message: 'too late' } })
    await leaveInPeace(1, 0)
    expect(await endOf('innocent')).toMatchObject({ status: 'success' })
    expect(run).toMatchObject({ status: 'success' })
  })

  it('leaves no thread and no listener behind', async () => {
    await leaveInPeace(1, 0)
    await endOf('innocent')
    expect(await child.kill()).toEqual({ code: 0, signal: null })
    const line = JSON.parse(await child.waitForLine('"stopped"')) as object
    expect(line).toMatchObject({ left: [], listeners: 0 })
  })
})

describe('what a handler leaves to nobody, in a worker of its own', { timeout: 60_000 }, () => {
  it('in the name of no run: the worker stops, all that ran count a loss, and the process ends with 1', async () => {
    await start()
    await leaveInPeace(1, 1_000)
    await leaveInPeace(2, 9_500)
    await waitFor(async () => (await runs('innocent')).length === 2)
    await harm('emitter')

    const { code } = await child.exited
    expect(code).toBe(1)
    const line = await child.waitForLine('an error belongs to no run: the worker stops')
    expect(JSON.parse(line)).toMatchObject({
      level: 60,
      err: { message: 'of an emitter' },
      runs: expect.arrayContaining([expect.objectContaining({ name: 'guilty' })]),
    })
    expect((await runs('innocent')).map(({ status }) => status).toSorted()).toEqual([
      'failed',
      'success',
    ])
    expect(
      await runtime.rows(
        `select "losses", "lossesAlone", "failures", "dueAt" <= now() as "isDue" from "JobWork" where "name" = 'innocent'`,
      ),
    ).toEqual([{ losses: 1, lossesAlone: 0, failures: 0, isDue: true }])
  })

  it('by an observer: is a line in the log, and no run is to blame, nor spared', async () => {
    await start({ hasObserver: true })
    await leaveInPeace(1, 0)
    expect(await endOf('innocent')).toMatchObject({ status: 'success' })
    await harm('rejection')
    expect(await endOf('guilty')).toMatchObject({ details: { error: { code: 'handler_crashed' } } })
    const failed = () =>
      child.stdout.filter((line) => line.includes('"msg":"an observer failed"')).join('\n')
    for (const of of ['runStarted', 'a timer', 'within', 'ended', 'workClaimed']) {
      expect(await waitFor(() => failed().includes(`of ${of}`))).toBe(true)
    }
    expect(failed()).not.toContain('nobody catches for')
    expect(await child.kill()).toEqual({ code: 0, signal: null })
  })

  it('is told to the host that wants to know, when the worker has stopped', async () => {
    await start({ hasCallback: true })
    await harm('emitter')
    expect((await child.exited).code).toBe(3)
    expect(JSON.parse(await child.waitForLine('"told"'))).toMatchObject({
      reason: 'of an emitter',
      isReady: false,
    })
  })

  it('is left to the host that sees to it itself', async () => {
    await start({ uncaught: 'leave' })
    await harm('rejection')
    expect((await child.exited).code).toBe(1)
    expect(child.stderr.join('\n')).toContain('nobody catches for')
    // The process ends as Node ends it, but the log says which handler it was.
    expect(
      JSON.parse(await child.waitForLine('"msg":"a handler ended the process"')),
    ).toMatchObject({ name: 'guilty' })
    expect(await runs('guilty')).toMatchObject([{ status: 'running' }])
  })

  it('process.exit(0) in a handler: says who it was, and ends with 1', async () => {
    await start()
    await leaveInPeace(1, 5_000)
    await isUnderWay('innocent')
    await harm('exit')
    expect(await child.exited).toEqual({ code: 1, signal: null })
    const [run] = await runs('guilty')
    expect(JSON.parse(child.stderr.at(-1)!)).toMatchObject({
      name: 'guilty',
      runId: run!.id,
      msg: 'a handler ended the process',
      runs: [{ name: 'innocent' }, { name: 'guilty', runId: run!.id }],
    })
  })
})

describe('a handler that blocks the event loop', { timeout: 60_000 }, () => {
  it.each(['loop', 'regExp', 'wait'] as const)(
    '%s: ends the process, beyond the longest time-out that runs, and is named',
    async (how) => {
      await start()
      await harm(how)
      expect(await child.exited).toEqual({ code: null, signal: 'SIGALRM' })
      const [run] = await runs('guilty')
      const line = JSON.parse(await child.waitForLine('the event loop is blocked')) as {
        stack: string[]
      }
      expect(line).toMatchObject({
        level: 60,
        name: 'guilty',
        runId: run!.id,
        limitMs: 2_000,
        runs: [{ name: 'guilty', runId: run!.id }],
      })
      expect(line.stack[0]).toContain('fixtures/guilty.ts')
    },
  )

  it('is given as long as the longest of the runs beside it may take', async () => {
    await start()
    await leaveInPeace(1, 1_000)
    await isUnderWay('innocent')
    await harm('wait')
    await child.exited
    expect(JSON.parse(await child.waitForLine('the event loop is blocked'))).toMatchObject({
      limitMs: 10_000,
    })
  })

  it('is left alone where nobody watches, and while a debugger does', async () => {
    await start({ watchdog: false })
    await harm('wait')
    await child.waitForLine('"harming"')
    const watched = child
    child = spawnProcess(PROCESS, { args: [runtime.url], env: { NODE_OPTIONS: '--inspect=0' } })
    await child.waitForLine('Jobs scheduler enabled', { timeoutMs: 30_000 })
    await harm('wait')
    await child.waitForLine('"harming"')
    // Another worker, whose watchdog ends it meanwhile.
    const third = spawnProcess(PROCESS, { args: [runtime.url] })
    await third.waitForLine('Jobs scheduler enabled', { timeoutMs: 30_000 })
    await harm('wait')
    expect(await third.exited).toMatchObject({ signal: 'SIGALRM' })
    for (const { stderr } of [watched, child]) {
      expect(stderr.filter((line) => line.includes('the event loop is blocked'))).toEqual([])
    }
    await watched.kill('SIGKILL')
  })
})

it('lines that nobody reads any more are lost, and nothing else', async () => {
  const worker = spawn(
    process.execPath,
    ['--conditions=@roundsman/source', PROCESS, runtime.url, JSON.stringify({ hasConsole: true })],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  onTestFinished(() => void worker.kill('SIGKILL'))
  const exited = once(worker, 'exit')
  const [line] = (await once(worker.stdout, 'data')) as [Buffer]
  expect(line.toString()).toContain('Jobs scheduler enabled')
  worker.stdout.destroy()
  worker.stderr.destroy()
  await leaveInPeace(1, 100)
  expect(await endOf('innocent')).toMatchObject({ status: 'success' })
  await leaveInPeace(2, 100)
  await waitFor(
    async () => (await runs('innocent')).filter(({ status }) => status === 'success').length === 2,
  )
  worker.kill('SIGTERM')
  expect(await exited).toEqual([0, null])
})

it('a log that leaves an error for each line does not keep the process from its end', async () => {
  await start({ hasBrokenLog: true })
  await harm('emitter')
  expect(await child.exited).toMatchObject({ code: 1 })
})
