import { waitFor } from '@roundsman/testing'
import { expect, it, onTestFinished, vi } from 'vitest'
import { Abort } from '../../src/run/abort.ts'
import { createCancellations } from '../../src/run/cancellations.ts'
import { createWakeUps } from '../../src/work/wakeUps.ts'
import { holdRuns } from '../holdRuns.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { useSession } from '../useSession.ts'

const runtime = useTestRuntime()
const session = useSession(runtime)

const openAbort = (runId: string) => new Abort('x', runId, 1_000)

const open = () => {
  const { database } = runtime
  return createCancellations({
    database,
    session,
    wakeUps: createWakeUps(database),
    workerId: 'w1',
  })
}

it('aborts all runs, also one that is handed on only then, and none that has ended', () => {
  const cancellations = open()
  const [ended, running, late] = [openAbort('ended'), openAbort('running'), openAbort('late')]
  cancellations.watch(ended)
  cancellations.watch(running)
  cancellations.forget(ended)

  cancellations.abortAll('shutting down')
  cancellations.watch(late)
  expect([ended.isAborted, running.reason, late.reason]).toEqual([
    false,
    'shutting down',
    'shutting down',
  ])
})

const cancel = (runId: string) =>
  runtime.rows(`insert into "JobCancel" ("runId", "name", "requestedBy") values ($1, 'x', 'ann')`, [
    runId,
  ])

it('aborts what is recorded as cancelled, and what another worker has taken over', async () => {
  const cancellations = open()
  const [cancelled, goesOn] = (await holdRuns(runtime, {
    name: 'x',
    workerId: 'w1',
    count: 2,
  })) as [string, string]
  const [lost] = (await holdRuns(runtime, { name: 'x', workerId: 'w2' })) as [string]
  await cancel(cancelled)
  const aborts = [cancelled, lost, goesOn].map((id) => {
    const abort = openAbort(id)
    cancellations.watch(abort)
    return abort
  })
  await cancellations.check()
  expect(aborts.map(({ reason }) => (reason as { code?: string } | undefined)?.code)).toEqual([
    'cancelled',
    'run_lost',
    undefined,
  ])
})

it('looks for what it was not told of while its session was away', async () => {
  const cancellations = open()
  await cancellations.start()
  const [runId] = (await holdRuns(runtime, { name: 'x', workerId: 'w1' })) as [string]
  const abort = openAbort(runId)
  cancellations.watch(abort)
  // Neither a notification nor a round tells of it.
  await cancel(runId)
  await runtime.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'roundsman w1' and datname = current_database()`,
  )
  await waitFor(() => abort.isAborted)
  expect(abort.reason).toMatchObject({ code: 'cancelled' })
})

it('aborts each run that takes longer than its time-out, by one timer', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const cancellations = open()
  const [long, brief, ended] = [5_000, 1_000, 500].map((ms) => new Abort('x', `of ${ms}`, ms)) as [
    Abort,
    Abort,
    Abort,
  ]
  for (const abort of [long, brief, ended]) cancellations.watch(abort)
  expect(vi.getTimerCount()).toBe(1)
  cancellations.forget(ended)
  vi.advanceTimersByTime(999)
  const aborted = () => [long, brief, ended].map(({ isAborted }) => isAborted)
  expect(aborted()).toEqual([false, false, false])
  vi.advanceTimersByTime(1)
  expect(aborted()).toEqual([false, true, false])
  expect(brief.reason).toMatchObject({
    code: 'timeout',
    message: 'The run took longer than 1000 ms',
  })
  cancellations.forget(brief)
  vi.advanceTimersByTime(4_000)
  expect(aborted()).toEqual([true, true, false])
  cancellations.forget(long)
  expect(vi.getTimerCount()).toBe(0)
})
