import {
  defineJob,
  defineSignal,
  withEngineJobs,
  type HandlersFor,
  type Job,
  type StepOptions,
} from '@roundsman/engine'
import { createJobsClient, openReader } from '@roundsman/engine/client'
import { migrate } from '@roundsman/engine/migrate'
import { createWorker } from '@roundsman/engine/worker'
import { collectOutput, createTestDatabase, openForTests, waitFor } from '@roundsman/testing'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { checkAgainst } from '../../src/check/checkAgainst.ts'
import { createCheckCommand } from '../../src/check/checkCommand.ts'
import { exitCodeOf } from '../../src/command/runCommand.ts'

const silent = { error() {}, warn() {}, info() {} }

const approved = defineSignal({ name: 'approved', payload: z.object({ by: z.string() }) })
const receipt = z.object({ lines: z.array(z.object({ amount: z.number() })) })
const steps = {
  reserve: {},
  charge: { result: receipt },
  approval: { signal: approved },
  pause: {},
}
const payload = z.object({ id: z.string() })
const order = defineJob({ name: 'order', payload, steps })
const without = defineJob({ name: 'order', payload })
const plain = defineJob({ name: 'plain' })

const handlers: HandlersFor<[typeof order], object> = {
  async order({ payload: { id }, step }) {
    await step.run('reserve', () => undefined)
    await step.run('charge', () => ({ lines: [{ amount: 5 }, { amount: 7 }] }))
    if (id === 'sleeps') await step.sleep('pause', { days: 7 })
    else await step.waitFor('approval', approved, { key: id })
    await step.sleep('pause', { days: 8 })
  },
}

/** A database that version 1.0 has left with three orders in flight, and a signal that nobody waits for. */
const place = openForTests(async () => {
  const { url, drop } = await createTestDatabase({ migrated: false })
  await migrate({ databaseUrl: url })
  const pool = new pg.Pool({ connectionString: url, max: 5 })
  pool.on('error', () => undefined)
  const client = createJobsClient({ databaseUrl: url, log: silent })
  await client.start()
  const options = { databaseUrl: url, client: pool, jobs: [order], handlers, log: silent }
  const worker = createWorker({ ...options, version: '1.0' })
  await worker.start()
  for (const id of ['sleeps', 'waits', 'answered']) await client.enqueueNow(order, { id })
  const send = (key: string) =>
    client.signalNow(approved, { key, id: '1', payload: { by: 'ada@example.com' } })
  for (const key of ['answered', 'unread']) await send(key)
  await waitFor(async () => {
    const { rows } = await pool.query<{ count: number }>(
      `select count(*)::int as "count" from roundsman."JobStep" where "kind" in ('sleep', 'wait')`,
    )
    return rows[0]?.count === 4
  })
  await worker.stop()
  return {
    url,
    client,
    async close() {
      await client.stop()
      await pool.end()
      await drop()
    },
  }
})

const build = (changed: Readonly<Record<string, StepOptions>> | null) =>
  (changed ? defineJob({ name: 'order', payload, steps: changed }) : without) as Job

const find = (...jobs: readonly Job[]) =>
  checkAgainst({ databaseUrl: place.url }, withEngineJobs(jobs))
const problems = async (...jobs: readonly Job[]) =>
  (await find(...jobs)).findings.map(({ severity, code, job, problem }) =>
    [severity, code, job, problem].join(' | '),
  )

describe('a build finds in a database of another version', () => {
  it('nothing where its jobs are the same, add a step, or name steps in another order', async () => {
    const { pause, approval, charge, reserve } = steps
    expect(await find(order)).toEqual({ findings: [], unchecked: [] })
    expect(await problems(build({ pause, approval, added: {}, charge, reserve }))).toEqual([])
  })

  it('a step that it lacks, and nothing once it says what the step was called', async () => {
    const { reserve: _, ...rest } = steps
    expect(await problems(build({ ...rest, hold: {} }))).toEqual([
      'error | step_lacking | order | the step reserve has ended in 3 pieces of work, which version 1.0 wrote, and this build lacks the step',
    ])
    expect(await problems(build({ ...rest, hold: { was: ['reserve'] } }))).toEqual([])
    expect(await problems(build({ ...rest, hold: {}, reserve: {} }))).toEqual([])
  })

  it('all steps of a job that has none any more', async () => {
    expect(await problems(build(null))).toEqual(
      [
        'the step approval has ended in 1 piece of work, which version 1.0 wrote, and this build lacks the step',
        'the step approval is open in 1 piece of work, which version 1.0 wrote, and this build lacks the step',
        'the step charge has ended in 3 pieces of work, which version 1.0 wrote, and this build lacks the step',
        'the step pause is open in 2 pieces of work, which version 1.0 wrote, and this build lacks the step',
        'the step reserve has ended in 3 pieces of work, which version 1.0 wrote, and this build lacks the step',
      ].map((problem) => `error | step_lacking | order | ${problem}`),
    )
  })

  it('stored results that a narrower schema refuses, by the path, without contents', async () => {
    const line = z.object({ amount: z.string(), currency: z.string() })
    const narrower = { ...steps, charge: { result: z.object({ lines: z.array(line) }) } }
    expect(await problems(build(narrower))).toEqual([
      'error | step_result_refused | order | this build refuses stored results of the step charge in 3 pieces of work, which version 1.0 wrote, at lines.*.amount (invalid_type), lines.*.currency (invalid_type): that work would end with step_result_invalid',
    ])
  })

  it('a signal that it lacks: with a wait that is open, and unread', async () => {
    const approval = { signal: defineSignal({ name: 'confirmed' }) }
    expect(await problems(build({ ...steps, approval }))).toEqual(
      [
        'error | signal_lacking | order | the step approval waits for the signal approved in 1 piece of work, which version 1.0 wrote, and no step of this build names that signal',
        'warning | signal_lacking | null | the signal approved is stored once, no wait has taken it, and no step of this build names it',
      ].map((problem) => problem.replace('| null |', '|  |')),
    )
  })

  it('payloads of signals that a narrower schema refuses, read and unread', async () => {
    const narrower = defineSignal({ name: 'approved', payload: z.object({ by: z.uuid() }) })
    const found = await problems(build({ ...steps, approval: { signal: narrower } }))
    expect(found).toEqual([
      'error | step_result_refused | order | this build refuses stored results of the step approval in 1 piece of work, which version 1.0 wrote, at by (invalid_format): that work would end with step_result_invalid',
      'error | signal_payload_refused |  | the signal approved is stored once with a payload that this build refuses, at by (invalid_format): work that takes one would end with step_result_invalid',
    ])
    expect(found.join()).not.toContain('ada@')
  })

  it('that it cannot look at payloads of signals that no step names', async () => {
    expect(await find(build({ ...steps, approval: {} }))).toEqual({
      findings: [],
      unchecked: [
        {
          what: 'the payloads of approved',
          reason: expect.stringContaining('no step names these signals') as string,
        },
      ],
    })
  })

  it('a job that it lacks', async () => {
    expect(await problems(plain)).toContain(
      'error | job_lacking | order | its work waits or runs, and this build lacks the job: no worker would take the work',
    )
  })

  it('no lack in work of another program', async () => {
    const pool = new pg.Pool({ connectionString: place.url, max: 5 })
    const lists = defineJob({ name: 'lists' })
    const other = createWorker({
      ...{ databaseUrl: place.url, client: pool, jobs: [lists], log: silent },
      handlers: { lists: async () => undefined },
    })
    await other.start()
    const { workId } = await place.client.enqueueNow(
      lists,
      {},
      { startAfter: new Date('2090-01-01') },
    )
    onTestFinished(async () => {
      await place.client.cancelWork(
        { job: lists, ids: [workId] },
        {
          actor: 'ada@example.com',
          reason: 'the test is over',
        },
      )
      await other.stop()
      await pool.end()
    })
    expect(await problems(order)).toEqual([])
    expect(await problems(lists)).toContainEqual(expect.stringContaining('job_lacking | order'))
  })
})

describe('check --against', () => {
  const run = async (against: string, job: Job, ...more: string[]) => {
    const command = createCheckCommand({
      ...{ call: 'roundsman check', about: '', catalogue: () => null },
      async check(options) {
        const at = { databaseUrl: options.against ?? '' }
        return { jobs: [job.name], ...(await checkAgainst(at, withEngineJobs([job]))) }
      },
    })
    const output = collectOutput()
    const terminal = { ...output, variables: {} }
    const code = await exitCodeOf(command, ['--against', against, ...more], terminal)
    return { code, ...output.texts() }
  }

  it('exits with 1 where something would break, also where nothing may be written', async () => {
    const url = new URL(place.url)
    url.searchParams.set('options', '-c default_transaction_read_only=on')
    const reader = openReader({ databaseUrl: url.href })
    onTestFinished(() => reader.close())
    const [setting] = await reader.rows({ text: 'show default_transaction_read_only' })
    expect(setting).toEqual({ default_transaction_read_only: 'on' })
    expect(await run(url.href, order)).toMatchObject({ code: 0, stderr: '' })
    const lacking = await run(url.href, build({ other: {} }))
    expect(lacking).toMatchObject({ code: 1, stderr: '' })
    expect(lacking.stdout).toContain("was: ['reserve']")
  })

  it('prints no password, whatever is wrong with the address', async () => {
    const { port } = new URL(place.url)
    for (const address of [
      `postgres://nobody:hunter2@127.0.0.1:${port}/nothing`,
      'postgres://nobody:hunter2@127.0.0.1:1/nothing',
      'postgres://nobody:hunter2@[bad/nothing',
      'nobody:hunter2@db.example.com',
    ]) {
      const { code, stdout, stderr } = await run(address, order)
      expect([address, code]).not.toEqual([address, 0])
      expect(stdout + stderr).not.toBe('')
      expect(stdout + stderr).not.toContain('hunter2')
    }
  })

  it('is refused together with --no-database', async () => {
    expect(await run(place.url, order, '--no-database')).toMatchObject({ code: 2 })
  })
})
