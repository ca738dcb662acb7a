import { waitFor } from '@roundsman/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { JobsClient } from '../../src/client/index.ts'
import { defineJob } from '../../src/contract/index.ts'
import type { Database } from '../../src/queue/database.ts'
import type { Queue } from '../../src/queue/queue.ts'
import { createLane, type Claim, type Lane } from '../../src/worker/lane.ts'
import { openTestQueue, type TestQueue } from '../openTestQueue.ts'
import { openTestRuntime, type TestRuntime } from '../openTestRuntime.ts'

const echo = defineJob({ name: 'echo', description: '' })

let runtime: TestRuntime
let client: JobsClient
let opened: TestQueue
let queue: Queue
let lane: Lane
let executed: Claim[]

beforeAll(async () => {
  runtime = await openTestRuntime([echo])
  opened = await openTestQueue(runtime, [echo], () => lane?.wake())
  ;({ client, queue } = opened)
})

afterAll(async () => {
  await opened.close()
  await runtime.close()
})

beforeEach(async () => {
  executed = []
  await runtime.rows('truncate "JobRun"')
  await runtime.rows('delete from pgboss.job')
})

afterEach(() => lane.stop())

function startLane(database: Database): void {
  lane = createLane({
    job: echo,
    concurrency: 2,
    database,
    queue,
    workerId: 'w1',
    log: runtime.log,
    now: () => new Date(),
    execute: async (claim) => void executed.push(claim),
  })
  lane.start()
}

const send = () => runtime.prisma.$transaction((tx) => client.enqueue(tx, echo, {}))

describe('a lane whose connection is lost while it takes work', () => {
  it('before the commit: nothing was taken, and it is taken again', async () => {
    let failures = 1
    startLane({
      ...runtime.database,
      transaction: (work) =>
        runtime.database.transaction(async (tx) => {
          const result = await work(tx)
          if (failures-- > 0) throw new Error('connection lost')
          return result
        }),
    })
    await send()

    await waitFor(() => executed.length)
    expect(await runtime.rows('select from "JobRun"')).toHaveLength(1)
  })

  it('after the commit: the run that it recorded is executed all the same', async () => {
    let failures = 1
    startLane({
      ...runtime.database,
      async transaction(work) {
        let taken = 0
        const result = await runtime.database.transaction((tx) =>
          work({
            query: async (text, values) => {
              const answer = await tx.query(text, values)
              if (text.includes('insert into "JobRun"')) taken = answer.rows.length
              return answer as never
            },
          }),
        )
        // The commit has happened, its answer never came.
        if (taken > 0 && failures-- > 0) throw new Error('connection lost')
        return result
      },
    })
    await send()

    await waitFor(async () => {
      const runs = await runtime.rows<{ id: string }>(
        `select "id" from "JobRun" where "status" = 'running'`,
      )
      return runs.length > 0 && runs.every(({ id }) => executed.some(({ run }) => run.id === id))
    })
    expect(executed).toHaveLength(1)
  })
})
