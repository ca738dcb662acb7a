// Processes: kills a process in the middle of a call.
import { openForTests, spawnProcess, waitFor } from '@roundsman/testing'
import { expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { countLockWaits } from '../countLockWaits.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel' })
const runtime = useTestRuntime({ cleared: ['JobAction'] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

it('an act on many has done nothing when its process is killed before the call is committed', async () => {
  await opened.client.enqueueManyNow(
    parcel,
    Array.from({ length: 500 }, () => ({ payload: {} })),
  )
  await runtime.database.transaction(async (tx) => {
    await tx.query('lock table "JobAction" in share mode')
    const file = new URL('../fixtures/cancelAllProcess.ts', import.meta.url).pathname
    const victim = spawnProcess(file, { args: [runtime.url] })
    // The work is deleted by now, in a transaction that is open.
    await waitFor(async () => (await countLockWaits(runtime, { text: 'JobAction' })) === 1)
    await victim.kill('SIGKILL')
  })
  // This waits for the end of the transaction.
  await runtime.database.transaction((tx) => tx.query('lock table "JobWork" in exclusive mode'))
  expect(await runtime.rows('select from "JobWork"')).toHaveLength(500)
  expect(await runtime.rows('select from "JobAction"')).toEqual([])
  expect(
    await opened.client.actOnMany({ kind: 'cancelWork', which: 'all', actor: 'a', reason: 'b' }),
  ).toMatchObject({ done: 500, left: 0 })
})
