// Processes: kills workers.
import { spawnProcess, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { listDeadLetters } from '../../src/client.ts'
import { JobError } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { drip, dripHandler, EFFECTS } from '../fixtures/drip.ts'
import { useDrip } from './useDrip.ts'

const WORKER = new URL('../fixtures/workerProcess.ts', import.meta.url).pathname
const ONCE = new URL('../fixtures/onceProcess.ts', import.meta.url).pathname

const { runtime, client, runs, enqueue, effectsOf, isUnderWay, startWorker } = useDrip()

const by = { actor: 'olga@example.com', reason: 'mended' }
const letters = async () => (await listDeadLetters(runtime.reader, { limit: 50 })).deadLetters

describe('a worker that is SIGKILLed in the middle of a run', () => {
  it('its run ends as failed with the exact counts of what it did, and the work is done by another', async () => {
    const victim = spawnProcess(WORKER, { args: [runtime.url] })
    await victim.waitForLine('Jobs scheduler enabled')
    await enqueue()
    await waitFor(isUnderWay)
    const worker = await startWorker()
    await victim.kill('SIGKILL')

    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'), {
      timeoutMs: 20_000,
    })
    const [lost, second] = await runs()
    expect(lost).toMatchObject({
      status: 'failed',
      attempt: 1,
      details: { error: { code: 'worker_lost' } },
    })
    expect(lost!.workerId).toContain(`:${victim.pid}:`)
    expect(lost!.details!.effects).toBe(await effectsOf(lost!.id))
    expect(second).toMatchObject({ status: 'success', attempt: 2, workerId: worker.id })
    expect(second!.details!.effects).toBe(await effectsOf(second!.id))
    expect(lost!.details!.effects! + second!.details!.effects!).toBe(EFFECTS)
  })

  it('is found by a worker that starts later', async () => {
    const victim = spawnProcess(WORKER, { args: [runtime.url] })
    await victim.waitForLine('Jobs scheduler enabled')
    await enqueue()
    await waitFor(isUnderWay)
    await victim.kill('SIGKILL')
    await startWorker()

    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'), {
      timeoutMs: 20_000,
    })
    expect((await runs()).map(({ status, attempt }) => [status, attempt])).toEqual([
      ['failed', 1],
      ['success', 2],
    ])
  })
})

describe('a worker that lives', () => {
  it('is not taken for dead by others, however long it takes', async () => {
    const other = spawnProcess(WORKER, { args: [runtime.url] })
    await other.waitForLine('Jobs scheduler enabled')
    await startWorker()
    await enqueue()

    await waitFor(async () => (await runs()).some(({ status }) => status !== 'running'), {
      timeoutMs: 20_000,
    })
    expect(await runs()).toMatchObject([{ status: 'success', details: { effects: EFFECTS } }])
    await other.kill()
  })
})

describe('runOnce', () => {
  const once = () =>
    runOnce({
      ...runtime.runOptions,
      job: drip,
      handler: dripHandler,
    })

  it('does not start beside a run of the same job', async () => {
    const other = spawnProcess(ONCE, { args: [runtime.url] })
    await waitFor(isUnderWay)
    const [run] = await runs()

    expect(await once()).toEqual({
      kind: 'alreadyRunning',
      runId: run!.id,
      workerId: run!.workerId,
    })
    await other.exited
    expect(await runs()).toMatchObject([{ status: 'success' }])
  })

  it('a run whose process was SIGKILLed does not stand in the way', async () => {
    const victim = spawnProcess(ONCE, { args: [runtime.url] })
    await waitFor(isUnderWay)
    await victim.kill('SIGKILL')

    expect(
      await waitFor(async () => {
        const result = await once()
        return result.kind === 'ended' && result
      }),
    ).toMatchObject({ run: { status: 'success' } })
    const [lost, next] = await runs()
    expect(lost).toMatchObject({ status: 'failed', details: { error: { code: 'worker_lost' } } })
    expect(lost!.details!.effects).toBe(await effectsOf(lost!.id))
    // Its own time begins after the rescue of the lost run, for which it waited.
    expect(next!.startedAt.getTime()).toBeGreaterThanOrEqual(lost!.endedAt!.getTime())
  })

  it('a dead letter whose process was SIGKILLed is a dead letter again, and no worker takes it', async () => {
    const { workId } = await enqueue()
    const broken = await startWorker(async () => {
      throw new JobError('broken', 'for good', { retryable: false })
    })
    await waitFor(async () => (await letters()).length > 0)
    await broken.stop()
    const victim = spawnProcess(ONCE, { args: [runtime.url, workId] })
    await waitFor(async () => ((await runs())[1]?.details?.effects ?? 0) > 5)
    expect(await letters()).toEqual([])
    await victim.kill('SIGKILL')
    await startWorker()

    const letter = { workId, attempts: 2, error: { code: 'worker_lost' } }
    await waitFor(async () => (await runs())[1]?.status === 'failed')
    expect(await letters()).toMatchObject([letter])
    expect(await client.redriveDeadLetters({ ids: [workId] }, by)).toMatchObject({
      redriven: 1,
    })
    await waitFor(async () => (await runs()).some(({ status }) => status === 'success'))
    expect((await runs()).map(({ trigger, attempt }) => [trigger, attempt])).toEqual([
      ['queue', 1],
      ['cli', 2],
      ['queue', 3],
    ])
  })
})
