import { openForTests } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { approveRun } from '../../src/control/controlJobs.ts'
import { defineJob } from '../../src/index.ts'
import { recordRunning } from '../../src/run/runs.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const sweep = defineJob({ name: 'sweep' })

const runtime = useTestRuntime()
const queue = openForTests(() => openTestQueue(runtime, [sweep]))

const enqueue = () => Promise.reject(new Error('It has enqueued something'))
const by = { actor: 'ann', reason: 'it is right' }

it('a transaction that wanted to approve a run under way holds up neither its end nor its retry', async () => {
  const { database, prisma, rows } = runtime
  await queue.client.enqueue(prisma, sweep, {})
  const [taken] = await queue.take('sweep')
  if (taken === undefined) throw new Error('Nothing was taken')
  await database.transaction(async (tx) => {
    // A claim alone lists it.
    expect(await approveRun(tx, taken.runId, by, enqueue)).toEqual({ kind: 'notBlocked' })
    await recordRunning(database, 'w1', taken)
    taken.hasSpoken = true
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
