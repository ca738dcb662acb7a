// Processes: runs and stops workers.
import { waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { useTallyStage } from '../tallyRuntime.ts'

const PATIENCE = { timeoutMs: 30_000 }
const GATED = { steps: 3, isGated: true, pauseMs: 0 }

const { runtime, ask, startWorker } = useTallyStage()

const isAtItsGate = async () => (await ask.runs())[0]?.details?.effects === 1

describe('SIGTERM while a run is under way', { timeout: 60_000 }, () => {
  it('lets it finish, takes nothing more, and the process ends', async () => {
    const worker = await startWorker()
    await ask.enqueue({ n: 1, ...GATED })
    await waitFor(isAtItsGate)
    process.kill(worker.pid, 'SIGTERM')
    await worker.waitForLine('draining')
    await ask.enqueue({ n: 2, ...GATED })
    await ask.openGate(1)

    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await ask.runs()).toMatchObject([
      { status: 'success', attempt: 1, details: { effects: 3, batches: 3 } },
    ])
    expect(await ask.queueStates()).toEqual(['completed', 'created'])
  })

  it('a second one aborts at once', async () => {
    const worker = await startWorker({ drainTimeoutMs: 600_000 })
    await ask.enqueue({ n: 1, ...GATED })
    await waitFor(isAtItsGate)
    process.kill(worker.pid, 'SIGTERM')
    await worker.waitForLine('draining')
    process.kill(worker.pid, 'SIGTERM')

    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(await ask.runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'drained' } } },
    ])
    expect(await ask.queueStates()).toEqual(['retry'])
  })
})

describe('a rolling restart of three workers', () => {
  it('loses and repeats nothing of 200 queued jobs', { timeout: 120_000 }, async () => {
    const COUNT = 200
    const fleet = await Promise.all([startWorker(), startWorker(), startWorker()])
    let n = 0
    // Two batches with a pause in between, so that the restart hits half-done runs.
    const enqueueFive = async () => {
      const five = Array.from({ length: 5 }, () => ({ n: n++, steps: 2, isGated: false }))
      await Promise.all(five.map((payload) => ask.enqueue({ ...payload, pauseMs: 300 })))
    }
    const enqueueQuarter = async () => {
      for (let i = 0; i < COUNT / 20; i++) await enqueueFive()
    }
    await enqueueQuarter()
    const met = new Set<string>()
    for (const leaving of [...fleet]) {
      const underWay = await waitFor(async () => {
        const own = (await ask.runs(`"status" = 'running'`)).filter(ask.isRunBy(leaving))
        if (own.length > 0) return own
        // On a busy machine all runs may have ended while the replacement started.
        await enqueueFive()
        return false
      }, PATIENCE)
      for (const { id } of underWay) met.add(id)
      const replacement = startWorker()
      const left = leaving.kill('SIGTERM')
      await enqueueQuarter()
      expect(await left).toEqual({ code: 0, signal: null })
      fleet.push(await replacement)
    }
    expect(met.size).toBeGreaterThanOrEqual(3)

    await waitFor(async () => (await ask.queueStates()).every((state) => state === 'completed'), {
      timeoutMs: 60_000,
    })
    const runs = await ask.runs()
    expect(runs).toHaveLength(n)
    expect(new Set(runs.map(({ status, attempt }) => `${status} ${attempt}`))).toEqual(
      new Set(['success 1']),
    )
    expect(new Set(runs.map(({ workId }) => workId)).size).toBe(n)
    // Each batch ran once: the table has no key, so that a repetition would show.
    expect(await runtime.rows('select from "Attempt"')).toHaveLength(2 * n)
    expect(await runtime.rows('select from "Effect"')).toHaveLength(2 * n)
    expect(await ask.miscounted()).toEqual([])
    for (const worker of fleet) {
      const wrong = worker.stdout.filter((line) => /"level":[56]0/.test(line))
      expect(wrong).toEqual([])
    }
  })
})
