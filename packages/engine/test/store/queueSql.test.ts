import { HOLD_RUNS_SQL } from '@roundsman/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { isUnfinishedSql } from '../../src/store/queueSql.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })
const letter = defineJob({ name: 'letter', description: '' })

let runtime: TestRuntime
let opened: TestQueue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel, letter])
  opened = await openTestQueue(runtime, [parcel, letter])
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.clear()
})

/** Whether work of `parcel` is unfinished. `letter` never has any. */
async function isUnfinished(): Promise<boolean | undefined> {
  const rows = await runtime.rows<{ name: string; is: boolean }>(
    `select name, ${isUnfinishedSql('job.name')} as "is" from unnest('{parcel,letter}'::text[]) job(name) order by 1`,
  )
  expect(rows[0]).toEqual({ name: 'letter', is: false })
  return rows[1]?.is
}

describe('whether a job has unfinished work', () => {
  it('is not so when there is none', async () => {
    expect(await isUnfinished()).toBe(false)
  })

  it.each([
    ['created', true],
    ['retry', true],
    ['active', true],
    ['completed', false],
    ['cancelled', false],
    ['failed', false],
  ])('with work that is %s: %s', async (state, expected) => {
    await runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, parcel, {}))
    await runtime.rows('update pgboss.job set state = $1', [state])
    expect(await isUnfinished()).toBe(expected)
  })

  it.each(['created', 'retry', 'active'])(
    'is not so with a dry run that is %s, however many there are',
    async (state) => {
      const dryRun = () =>
        runtime.prisma.$transaction((tx) =>
          opened.client.requestRun(tx, parcel, { actor: 'tests', reason: 'look', dryRun: true }),
        )
      await dryRun()
      await dryRun()
      await runtime.rows('update pgboss.job set state = $1', [state])
      expect(await isUnfinished()).toBe(false)
      await runtime.prisma.$transaction((tx) => opened.client.enqueue(tx, parcel, {}))
      expect(await isUnfinished()).toBe(true)
    },
  )

  it.each([
    ['that is under way', 'running', false, true],
    ['that only rehearses', 'running', true, false],
    ['that has ended', 'success', false, false],
  ])('with a run by hand %s', async (_, status, dryRun, expected) => {
    await runtime.rows(
      `insert into "JobRun" ("id", "name", "trigger", "workerId", "status", "dryRun")
       values (gen_random_uuid(), 'parcel', 'cli', 'somebody', 'running', $1)`,
      [dryRun],
    )
    await runtime.rows(HOLD_RUNS_SQL)
    await runtime.rows(
      `update "JobRun" set "status" = $1::"JobRunStatus", "endedAt" = case when $1 <> 'running' then now() end`,
      [status],
    )
    expect(await isUnfinished()).toBe(expected)
  })
})
