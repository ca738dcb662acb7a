import { waitFor } from '@roundsman/testing'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createSession, type Session } from '../../src/liveness/session.ts'
import { Abort } from '../../src/run/abort.ts'
import { createCancellations } from '../../src/run/cancellations.ts'
import { createWakeUps } from '../../src/work/wakeUps.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

let runtime: TestRuntime
let session: Session

beforeAll(async () => {
  runtime = await openTestRuntime([])
  const { url, database, log } = runtime
  session = createSession({ url, database, workerId: 'w1', log })
  await session.start()
})

afterAll(async () => {
  await session.stop()
  await runtime.close()
})

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
  const [ended, running, late] = [new Abort(), new Abort(), new Abort()]
  cancellations.watch('ended', ended)
  cancellations.watch('running', running)
  cancellations.forget('ended')

  cancellations.abortAll('shutting down')
  cancellations.watch('late', late)
  expect([ended.isAborted, running.reason, late.reason]).toEqual([
    false,
    'shutting down',
    'shutting down',
  ])
})

it('aborts what is recorded as cancelled, and what another worker has taken over', async () => {
  const cancellations = open()
  const rows = await runtime.rows<{ id: string }>(
    `insert into "JobRun" ("id", "name", "trigger", "workerId", "cancelRequestedAt", "cancelRequestedBy")
     values (gen_random_uuid(), 'x', 'queue', 'w1', now(), 'ann@example.com'),
            (gen_random_uuid(), 'x', 'queue', 'w2', null, null),
            (gen_random_uuid(), 'x', 'queue', 'w1', null, null)
     returning "id"`,
  )
  const aborts = rows.map(({ id }) => {
    const abort = new Abort()
    cancellations.watch(id, abort)
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
  const [run] = await runtime.rows<{ id: string }>(
    `insert into "JobRun" ("id", "name", "trigger", "workerId")
     values (gen_random_uuid(), 'x', 'queue', 'w1') returning "id"`,
  )
  const abort = new Abort()
  cancellations.watch(run!.id, abort)
  // Neither a notification nor a round tells of it.
  await runtime.rows(
    `update "JobRun" set "cancelRequestedAt" = now(), "cancelRequestedBy" = 'ann' where "id" = $1`,
    [run!.id],
  )
  await runtime.rows(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'roundsman w1' and datname = current_database()`,
  )
  await waitFor(() => abort.isAborted)
  expect(abort.reason).toMatchObject({ code: 'cancelled' })
})
