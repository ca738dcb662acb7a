import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { openTestJobs } from '../../src/testing.ts'
import { runOnce } from '../../src/worker.ts'
import { startTestWorker } from '../startTestWorker.ts'
import { readRuns } from '../readRuns.ts'
import { useClientRuntime } from '../useClientRuntime.ts'
import { waitFor } from '@roundsman/testing'

const sendReceipt = defineJob({ name: 'sendReceipt', retry: { limit: 0 } })
/** The same job by a version whose definition declares it. */
const declared = defineJob({ name: 'sendReceipt', dryRun: true, retry: { limit: 0 } })
const REFUSED = 'dryRun is refused: the definition of sendReceipt has no dryRun: true'
const by = { actor: 'ann@example.com', reason: 'To see' }

const { runtime, client } = useClientRuntime({ cleared: [] })
const ended = () =>
  waitFor(async () => (await readRuns(runtime)).filter(({ status }) => status !== 'running')[0])

describe('a dry run of a job that does not declare it', () => {
  it('is refused by the client, for a new run as for one again', async () => {
    await expect(client.requestRun(sendReceipt, { ...by, dryRun: true })).rejects.toThrow(REFUSED)
    const again = client.runAgain(sendReceipt, crypto.randomUUID(), { ...by, dryRun: true })
    await expect(again).rejects.toThrow(REFUSED)
    expect(await runtime.rows('select from "JobWork"')).toEqual([])
  })

  it('is refused by runOnce and by the engine in a test', async () => {
    let mails = 0
    const handler = async () => void (mails += 1)
    const options = { ...runtime.runOptions, job: sendReceipt, handler, dryRun: true }
    await expect(runOnce(options)).rejects.toThrow(REFUSED)
    const test = await openTestJobs({
      databaseUrl: runtime.url,
      client: runtime.prisma,
      jobs: [sendReceipt],
      handlers: { sendReceipt: handler },
    })
    await expect(test.run(sendReceipt, {}, { dryRun: true })).rejects.toThrow(REFUSED)
    await test.close()
    expect(mails).toBe(0)
  })

  it('fails without its handler where a version that declares it was asked', async () => {
    let mails = 0
    const handlers = { sendReceipt: async () => void (mails += 1) }
    await client.requestRun(declared, { ...by, dryRun: true })
    await startTestWorker(runtime, { jobs: [sendReceipt], handlers })
    expect(await ended()).toMatchObject({
      status: 'failed',
      details: { error: { code: 'dry_run_refused' } },
    })
    expect(mails).toBe(0)
  })
})

it('a dry run of a job that declares it is told to its handler', async () => {
  const seen: boolean[] = []
  const handlers = {
    sendReceipt: async ({ run }: { run: { dryRun: boolean } }) => void seen.push(run.dryRun),
  }
  await client.requestRun(declared, { ...by, dryRun: true })
  await startTestWorker(runtime, { jobs: [declared], handlers })
  expect(await ended()).toMatchObject({ status: 'success' })
  expect(seen).toEqual([true])
})
