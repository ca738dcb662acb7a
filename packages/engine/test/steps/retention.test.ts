import { beforeEach, expect, it } from 'vitest'
import { pruneJobRuns } from '../../src/index.ts'
import { runOnce } from '../../src/worker.ts'
import { useClientRuntime } from '../useClientRuntime.ts'

const { runtime, client } = useClientRuntime({ cleared: [] })
const id = (n: number) => `01890000-0000-7000-8000-00000000000${n}`

/** Work with a run that was suspended so long ago, and perhaps one that has succeeded since. */
async function insert(n: number, suspended: number, succeeded: number | null): Promise<void> {
  const add = (status: string, days: number) =>
    runtime.rows(
      `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "workId", "startedAt", "endedAt")
       select gen_random_uuid(), 'drip', $1::"JobRunStatus", 'queue', 'w', $2::uuid, at, at from (select now() - $3 * interval '1 day' as at) one`,
      [status, id(n), days],
    )
  await add('suspended', suspended)
  if (succeeded !== null) await add('success', succeeded)
  await runtime.rows(
    `insert into "JobStep" ("workId", "name", "kind", "seq", "runId", "startedAt", "endedAt")
     values ($1, 'a', 'run', 1, $1, now(), now())`,
    [id(n)],
  )
}

const prune = () => runOnce({ ...runtime.runOptions, job: pruneJobRuns, handler: undefined })

beforeEach(async () => {
  await insert(1, 100, 99)
  await insert(2, 100, 1)
  await insert(3, 100, null)
  await insert(4, 100, null)
  await insert(5, 100, null)
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "bytes", "resumptions", "place", "dueAt") values ($1, 'drip', 2, 1, null, now() + interval '1 year')`,
    [id(3)],
  )
  await runtime.rows(
    `insert into "JobDeadLetter" ("id", "name", "bytes", "errorCode", "errorMessage") values ($1, 'drip', 2, 'x', 'x')`,
    [id(4)],
  )
})

it('steps go with the last run of their work, and work that waits or was given up keeps both', async () => {
  await prune()

  const left = (table: string) =>
    runtime.column(
      `select distinct "workId"::text from "${table}" where "workId" is not null order by 1`,
    )
  expect(await left('JobStep')).toEqual([id(2), id(3), id(4)])
  expect(await left('JobRun')).toEqual([id(2), id(3), id(4)])
})

it('signals and their ids are kept for 30 days, and what nobody has read is on record', async () => {
  const add = (key: string, days: number, takenBy: string | null) =>
    runtime.rows(
      `insert into "JobSignal" ("name", "key", "id", "payload", "takenBy", "isFresh", "expiresAt")
       values ('approved', $1, 'a', '{}', $2, false, now() + $3 * interval '1 day')`,
      [key, takenBy, days],
    )
  await add('taken', -1, id(1))
  await add('unread', -1, null)
  await add('young', 1, null)

  expect(await prune()).toMatchObject({ run: { details: { signals: 1, unreadSignals: 1 } } })
  expect(await runtime.column('select "key" from "JobSignal"')).toEqual(['young'])
})

it('steps of a run by hand go with it', async () => {
  await runtime.rows(`delete from "JobStep"`)
  await runtime.rows(`delete from "JobRun"`)
  await insert(6, 100, null)
  await runtime.rows(`update "JobRun" set "id" = "workId", "workId" = null, "status" = 'success'`)
  await prune()
  expect(await runtime.column('select "name" from "JobStep"')).toEqual([])
})

it('steps of a dead letter without runs go once somebody discards it', async () => {
  const steps = () =>
    runtime.column(
      `select "name" from "JobStep" where "workId" = any('{${id(1)},${id(4)}}'::uuid[])`,
    )
  await runtime.rows(`delete from "JobRun" where "workId" = $1`, [id(4)])
  await client.discardDeadLetters({ ids: [id(4)] }, { actor: 'ada' })
  expect(await steps()).toEqual(['a'])
})

it.each([
  ['waits', 3],
  ['is a dead letter', 4],
])('the result of a step can be seen while its work %s, without a run', async (_, n) => {
  await runtime.rows(`delete from "JobRun"`)
  await runtime.rows(`update "JobStep" set "result" = '{"kept": true}'`)
  const shown = await client.showPayload({ workId: id(n), step: 'a' }, { actor: 'ada', jobs: [] })
  expect(shown).toEqual({ kind: 'shown', payload: { kept: true } })
})
