import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { defineJob } from '../../src/index.ts'
import { endRuns } from '../../src/queue/endRuns.ts'
import { openTestQueue, toEnd } from '../openTestQueue.ts'
import { useTestRuntime } from '../useTestRuntime.ts'

const parcel = defineJob({ name: 'parcel' })

const runtime = useTestRuntime({ cleared: [] })
const opened = openForTests(() => openTestQueue(runtime, [parcel]))

const enqueue = () => opened.client.enqueueNow(parcel, {})
const take = (limit?: number) => opened.take('parcel', limit)
const states = () =>
  runtime.column<string>(
    `select 'waits' as state from "JobWork" union all
       select 'runs' from "JobRunAll" where "status" = 'running' order by 1`,
  )

describe('completed work', () => {
  it('leaves the queue, and nothing else does', async () => {
    await enqueue()
    await enqueue()
    const [first] = await take()
    await enqueue()

    await opened.complete([first!])
    expect(await states()).toEqual(['runs', 'waits'])
    await opened.complete([])
    expect(await states()).toHaveLength(2)
  })

  it('stays when it has been given out again since', async () => {
    await enqueue()
    const [stale] = await take()
    await opened.fail([stale!], { code: 'flaky', message: '' }, 'redeliver')
    await opened.complete([stale!])
    expect(await states()).toEqual(['waits'])

    const [fresh] = await take()
    expect(fresh!.attempt).toBe(2)
    await opened.complete([stale!])
    expect(await states()).toEqual(['runs'])
    await opened.complete([fresh!])
    expect(await states()).toEqual([])
  })

  it("stays when the run was not this worker's, or has ended", async () => {
    await enqueue()
    const [work] = await take()
    const end = (workerId: string, code: string | null) =>
      endRuns(runtime.database, workerId, [
        toEnd(work!, {
          isPlain: false,
          error: code === null ? null : { code, message: '' },
          next: { kind: code === null ? 'done' : 'dead' },
        }),
      ])
    expect(await end('w2', null)).toEqual(new Map())
    expect(await states()).toEqual(['runs'])

    await end('w1', 'flaky')
    expect(await end('w1', null)).toEqual(new Map())
    expect(await runtime.rows('select "errorCode" from "JobRun"')).toEqual([{ errorCode: 'flaky' }])
    expect(await runtime.rows('select from "JobDeadLetter"')).toHaveLength(1)
  })
})
