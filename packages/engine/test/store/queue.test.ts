import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobsClient } from '../../src/client.ts'
import { defineJob } from '../../src/index.ts'
import type { Queue } from '../../src/store/queue.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const parcel = defineJob({ name: 'parcel', description: '' })

let runtime: TestRuntime
let client: JobsClient
let opened: TestQueue
let queue: Queue

beforeAll(async () => {
  runtime = await openTestRuntime([parcel])
  opened = await openTestQueue(runtime, [parcel])
  ;({ client, queue } = opened)
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  await runtime.clear()
})

const enqueue = () => runtime.prisma.$transaction((tx) => client.enqueue(tx, parcel, {}))
const take = () => opened.take('parcel')
const states = async () =>
  (await runtime.rows<{ state: string }>('select state::text from pgboss.job order by id')).map(
    ({ state }) => state,
  )

describe('work that is given out again', () => {
  it('ends the earlier run if that has not ended, and leaves it as it is otherwise', async () => {
    await enqueue()
    const readRuns = () =>
      runtime.rows(
        `select "attempt", "status", "errorCode", "details" -> 'cleaned' as "cleaned" from "JobRun" order by 1`,
      )
    const again = () =>
      runtime.rows(`update pgboss.job set state = 'retry', start_after = now() returning name`)
    const [first] = await take()
    await runtime.rows(
      `update "JobRun" set "status" = 'failed', "errorCode" = 'flaky', "endedAt" = now()
       where "id" = $1`,
      [first!.runId],
    )
    await again()
    const [second] = await take()
    await runtime.rows(`update "JobRun" set "details" = '{"cleaned": 3}' where "id" = $1`, [
      second!.runId,
    ])
    await again()
    await take()
    expect(await readRuns()).toEqual([
      { attempt: 1, status: 'failed', errorCode: 'flaky', cleaned: null },
      { attempt: 2, status: 'failed', errorCode: 'expired', cleaned: 3 },
      { attempt: 3, status: 'running', errorCode: null, cleaned: null },
    ])
  })
})

describe('completed work', () => {
  it('leaves the queue, and nothing else does', async () => {
    await enqueue()
    await enqueue()
    const [first] = await take()
    await enqueue()

    await opened.complete([first!])
    expect((await states()).toSorted()).toEqual(['active', 'created'])
    await opened.complete([])
    expect(await states()).toHaveLength(2)
  })

  it('stays when it has been given out again since', async () => {
    await enqueue()
    const [stale] = await take()
    const error = { code: 'flaky', message: '' }
    await runtime.database.transaction((tx) => queue.fail(tx, [stale!], error, 'redeliver'))
    await opened.complete([stale!])
    expect(await states()).toEqual(['retry'])

    const [fresh] = await take()
    expect(fresh!.attempt).toBe(2)
    await opened.complete([stale!])
    expect(await states()).toEqual(['active'])
    await opened.complete([fresh!])
    expect(await states()).toEqual([])
  })

  it("stays when the run was not this worker's, or has ended", async () => {
    await enqueue()
    const work = await take()
    await opened.complete(work, 'w2')
    expect(await states()).toEqual(['active'])
    expect(await runtime.rows('select "status" from "JobRun"')).toEqual([{ status: 'running' }])

    await runtime.rows(
      `update "JobRun" set "status" = 'failed', "errorCode" = 'flaky', "endedAt" = now()`,
    )
    await opened.complete(work)
    expect(await states()).toEqual(['active'])
    expect(await runtime.rows('select "errorCode" from "JobRun"')).toEqual([{ errorCode: 'flaky' }])
  })

  it('stays when the run was not the attempt that is under way', async () => {
    await enqueue()
    const work = await take()
    await runtime.rows('update pgboss.job set retry_count = 1')
    await opened.complete(work)
    expect(await states()).toEqual(['active'])
  })

  it('of another job with the same id is left alone', async () => {
    await enqueue()
    const work = await take()
    await runtime.rows(`update "JobRun" set "name" = 'letter'`)
    await opened.complete(work)
    expect(await states()).toEqual(['active'])
  })
})
