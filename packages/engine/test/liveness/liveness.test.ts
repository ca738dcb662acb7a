// Processes: freezes and kills workers.
import { HOLD_RUNS_SQL, waitFor } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { block, linger, tally } from '../fixtures/tally.ts'
import { useTallyStage } from '../tallyRuntime.ts'

// Longer than a session's heartbeat, its query time-out and many rounds of the other workers.
const BLOCK_MS = 30_000
const PATIENCE = { timeoutMs: 30_000 }

const { runtime, ask, startWorker, startBeside } = useTallyStage()

const startTwoBeside = () => Promise.all([startBeside(), startBeside()])

describe('a worker whose event loop is blocked', () => {
  it(
    'is not taken for dead by two others, and ends its run itself',
    { timeout: 90_000 },
    async () => {
      const blocked = await startWorker()
      await ask.enqueue({ n: 1, blockMs: BLOCK_MS }, block)
      await blocked.waitForLine('blocking')
      await startTwoBeside()

      await waitFor(async () => (await ask.runs()).every(({ status }) => status !== 'running'), {
        timeoutMs: 60_000,
      })
      const runs = await ask.runs()
      expect(runs).toMatchObject([{ status: 'success', attempt: 1, details: { effects: 2 } }])
      expect(runs.every(ask.isRunBy(blocked))).toBe(true)
      expect(await ask.queueStates()).toEqual(['completed'])
    },
  )
})

describe('a worker that was stopped, taken for dead, and continues', { timeout: 60_000 }, () => {
  /** Loses a run of a stopped worker: its first attempt waits there at the gate, the second in another worker. */
  async function loseRun<Other>(startOther: () => Promise<Other>) {
    const stopped = await startWorker()
    const [first] = await waitFor(async () => {
      const runs = await ask.runs()
      const isUnderWay = runs.every(({ name, details }) => name === 'linger' || details?.effects)
      return runs.length > 0 && isUnderWay && runs
    })
    process.kill(stopped.pid, 'SIGSTOP')
    const other = await startOther()
    await ask.cutSession(first!.workerId)
    await waitFor(async () => (await ask.runs('"attempt" = 2')).length > 0, PATIENCE)
    return { stopped, other }
  }

  it('can commit no further batch, and its run is redone by the other', async () => {
    await ask.enqueue({ n: 1, steps: 3, isGated: true, pauseMs: 0 }, tally)
    const { stopped, other } = await loseRun(startBeside)
    const [lost] = await ask.runs()
    expect(lost).toMatchObject({
      status: 'failed',
      attempt: 1,
      details: { effects: 1, error: { code: 'worker_lost' } },
    })

    // Opens only the first attempt's gate: if the stopped worker could go on, it would do the second step first.
    await ask.openGate(1)
    process.kill(stopped.pid, 'SIGCONT')
    await stopped.waitForLine('job run lost', PATIENCE)
    expect(await runtime.rows('select n, step from "Effect"')).toEqual([{ n: 1, step: 0 }])
    expect(await ask.runs()).toMatchObject([
      { status: 'failed', details: lost!.details },
      { status: 'running', attempt: 2 },
    ])

    await ask.openGate(2)
    await waitFor(async () => (await ask.queueStates())[0] === 'completed', PATIENCE)
    const [first, second] = await ask.runs()
    expect(first).toEqual(lost)
    expect(second).toMatchObject({ status: 'success', details: { effects: 2 } })
    expect(ask.isRunBy(other)(second!)).toBe(true)
    expect(await ask.miscounted()).toEqual([])
  })

  it('can neither end its run nor settle its work, though its handler has finished', async () => {
    // After its gate, its handler only returns.
    await ask.enqueue({ n: 1, steps: 1, isGated: true, pauseMs: 0 }, tally)
    const { stopped } = await loseRun(startBeside)
    // The second attempt waits after its first batch.
    const before = await waitFor(async () => {
      const runs = await ask.runs()
      return runs[1]?.details && runs
    }, PATIENCE)

    await ask.openGate(1)
    process.kill(stopped.pid, 'SIGCONT')
    await stopped.waitForLine('job run lost', PATIENCE)
    expect(await ask.runs()).toEqual(before)
    expect(await ask.queueStates()).toEqual(['active'])
    expect(await runtime.rows('select "attempts", "losses" from "JobClaim"')).toEqual([
      { attempts: [2], losses: [1] },
    ])

    await ask.openGate(2)
    await waitFor(async () => (await ask.queueStates())[0] === 'completed', PATIENCE)
    expect((await ask.runs()).map(({ status }) => status)).toEqual(['failed', 'success'])
  })

  it('aborts a handler that would never have noticed', async () => {
    await ask.enqueue({}, linger)
    const { stopped } = await loseRun(startBeside)
    process.kill(stopped.pid, 'SIGCONT')

    expect(await stopped.waitForLine('handler aborted')).toContain('"reason":"run_lost"')
    await stopped.waitForLine('job run lost')
    expect(await ask.runs()).toMatchObject([
      { status: 'failed', details: { error: { code: 'worker_lost' } } },
      { status: 'running', attempt: 2 },
    ])
  })

  it('takes part again: it executes new work', async () => {
    await ask.enqueue({ n: 1, steps: 1, isGated: true, pauseMs: 0 }, tally)
    const { stopped, other } = await loseRun(startWorker)
    await ask.openGate(1)
    process.kill(stopped.pid, 'SIGCONT')
    await stopped.waitForLine('session restored', PATIENCE)
    await other.kill('SIGKILL')
    await ask.openGate(2)
    await ask.openGate(3)

    await waitFor(async () => (await ask.queueStates())[0] === 'completed', PATIENCE)
    const last = (await ask.runs()).at(-1)
    expect(last).toMatchObject({ status: 'success', attempt: 3 })
    expect(ask.isRunBy(stopped)(last!)).toBe(true)
  })
})

describe('a run that goes on beyond all the time that its job has', () => {
  it('is ended, and can commit no further batch', { timeout: 60_000 }, async () => {
    await startBeside()
    await ask.enqueue({ n: 1, steps: 3, isGated: true, pauseMs: 0 }, tally)
    await waitFor(async () => (await ask.runs())[0]?.details?.effects === 1)
    const before = runtime.lines.length
    await runtime.rows('update "JobClaim" set "expiresAt" = "createdAt"')
    await waitFor(async () => (await ask.queueStates())[0] === 'retry', PATIENCE)
    await runtime.rows('update "JobWork" set "dueAt" = now()')
    await waitFor(async () => (await ask.runs('"attempt" = 2')).length > 0, PATIENCE)

    await ask.openGate(1)
    const isLost = ({ msg }: Record<string, unknown>) => String(msg).startsWith('job run lost')
    await waitFor(() => runtime.lines.slice(before).some(isLost), PATIENCE)
    expect(await ask.runs()).toMatchObject([
      { status: 'failed', details: { effects: 1, error: { code: 'expired' } } },
      { status: 'running', attempt: 2 },
    ])
    await ask.openGate(2)
    await waitFor(async () => (await ask.queueStates())[0] === 'completed', PATIENCE)
    expect(await ask.miscounted()).toEqual([])
  })
})

describe('one of three workers, SIGKILLed with five runs of a job under way', () => {
  it('all are redelivered, and their effects happen once', { timeout: 60_000 }, async () => {
    const victim = await startWorker()
    for (let n = 0; n < 5; n++) {
      await ask.enqueue({ n, steps: 3, isGated: true, pauseMs: 0 }, tally)
    }
    await waitFor(async () => (await runtime.rows('select from "Effect"')).length === 5)
    expect((await ask.runs()).every(ask.isRunBy(victim))).toBe(true)
    await startTwoBeside()
    await ask.openGate(2)
    await victim.kill('SIGKILL')

    await waitFor(
      async () => (await ask.queueStates()).every((state) => state === 'completed'),
      PATIENCE,
    )
    const lost = await ask.runs('"attempt" = 1')
    expect(lost).toHaveLength(5)
    for (const run of lost) {
      expect(run).toMatchObject({
        status: 'failed',
        details: { effects: 1, batches: 1, error: { code: 'worker_lost' } },
      })
    }
    const redone = await ask.runs('"attempt" > 1')
    expect(redone).toHaveLength(5)
    for (const run of redone) {
      expect(run).toMatchObject({ status: 'success', attempt: 2, details: { effects: 2 } })
    }
    expect(new Set(redone.map(({ workId }) => workId))).toEqual(
      new Set(lost.map(({ workId }) => workId)),
    )
    expect(await runtime.rows('select from "Effect"')).toHaveLength(15)
    expect(await ask.miscounted()).toEqual([])
  })
})

describe('a run that cannot be ended just now', () => {
  it('keeps no other lost run from being rescued', { timeout: 60_000 }, async () => {
    const lostRun = `insert into "JobRun" ("id", "name", "trigger", "workerId", "startedAt")
      values (gen_random_uuid(), 'tally', 'cli', 'somebody', $1) returning "id"`
    const [stuck] = await runtime.rows<{ id: string }>(lostRun, ['2026-01-01'])
    const [free] = await runtime.rows<{ id: string }>(lostRun, ['2026-01-02'])
    await runtime.rows(HOLD_RUNS_SQL)
    // As a batch whose process was stopped between its last statement and its commit.
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => (release = resolve))
    const held = runtime.database.transaction(async (tx) => {
      await tx.query('select from "JobRun" where "id" = $1 for update', [stuck!.id])
      await released
    })
    try {
      await startBeside()
      await waitFor(async () => (await ask.runs(`"id" = '${free!.id}'`))[0]?.status === 'failed')
      expect(await ask.runs(`"id" = '${stuck!.id}'`)).toMatchObject([{ status: 'running' }])
    } finally {
      release()
      await held
    }
    await waitFor(
      async () => (await ask.runs()).every(({ status }) => status === 'failed'),
      PATIENCE,
    )
  })
})
