import { openForTests, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { approveRun } from '../../src/control/controlJobs.ts'
import { defineJob } from '../../src/index.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { claimWork } from '../../src/queue/claimWork.ts'
import { endRuns } from '../../src/queue/endRuns.ts'
import { claimRequest } from '../claimRequest.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { openTestQueue, toEnd } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const sweep = defineJob({ name: 'sweep' })

const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [sweep]))

const enqueue = () => Promise.reject(new Error('It has enqueued something'))
const by = { actor: 'ann', reason: 'it is right' }

it('a transaction that wanted to approve a run under way holds up neither its end nor its retry', async () => {
  const { database, rows } = runtime
  await queue.client.enqueueNow(sweep, {})
  const [taken] = await queue.take('sweep')
  if (taken === undefined) throw new Error('Nothing was taken')
  await database.transaction(async (tx) => {
    // A claim alone lists it.
    expect(await approveRun(tx, taken.runId, by, enqueue)).toEqual({ kind: 'notBlocked' })
    await recordRunning(database, 'w1', taken)
    taken.hasRow = true
    expect(await approveRun(tx, taken.runId, by, enqueue)).toEqual({ kind: 'notBlocked' })
    await queue.fail([taken], { code: 'broken', message: '' }, 'redeliver')
    expect(await rows('select "status"::text as "status" from "JobRun"')).toEqual([
      { status: 'failed' },
    ])
    expect(await approveRun(tx, taken.runId, by, enqueue)).toEqual({ kind: 'notBlocked' })
    const retry = await queue.take('sweep')
    expect(retry).toHaveLength(1)
    await queue.complete(retry)
  })
  expect(await approveRun(database, crypto.randomUUID(), by, enqueue)).toEqual({ kind: 'notFound' })
})

it('an approval that waits while a claim takes the work of its run knows that it runs', async () => {
  const { database } = runtime
  await runtime.clear()
  await queue.client.enqueueNow(sweep, {}, { uniqueKey: 'k' })
  const [blocked] = await queue.take('sweep')
  const { runId, workId, claimId } = blocked!
  const error = { code: 'guard_blocked', message: '' }
  const details = JSON.stringify({ error, guard: { due: 1 } })
  const next = { kind: 'dead' } as const
  await endRuns(database, 'w1', [toEnd(blocked!, { error, details, next })], [claimId])
  await queue.client.redriveDeadLetters({ ids: [workId] }, by)
  let approving: Promise<unknown> | undefined
  await database.transaction(async (tx) => {
    const requests = [claimRequest('sweep')]
    const { work } = await claimWork(tx, { workerId: 'w1', requests, startedAt: new Date() })
    expect(work).toHaveLength(1)
    approving = queue.client.approveRun(runId, by)
    await waitFor(() => countLockWaits(runtime))
  })
  expect(await approving).toEqual({ kind: 'alreadyQueued', workId })
})
