import { openForTests } from '@roundsman/testing'
import { beforeEach, describe, expect, it } from 'vitest'
import { toNotice } from '../../src/alerts/alert.ts'
import { DEFAULT_LIMITS, findCauses } from '../../src/alerts/findCauses.ts'
import { defineJob } from '../../src/index.ts'
import { createUsualFailures } from '../../src/read/createUsualFailures.ts'
import { getJobHealth } from '../../src/read/getJobHealth.ts'
import { listProblems } from '../../src/read/listProblems.ts'
import { openTestQueue } from '../openTestQueue.ts'
import { openTestRuntime } from '../openTestRuntime.ts'

const importFeed = defineJob({ name: 'importFeed' })
const runtime = openForTests(openTestRuntime)
const opened = openForTests(() => openTestQueue(runtime, [importFeed]))

beforeEach(() => runtime.clear('JobQueue', 'JobWorker'))

const problemsOf = async (kind: string) => {
  const { problems } = await listProblems(runtime.reader, [importFeed], new Date())
  return problems.filter((problem) => problem.kind === kind)
}

/** What people are told, without instants and ids. */
const textsOf = async (kind: string) => {
  const all = [importFeed]
  const usual = createUsualFailures()
  const { causes } = await findCauses(runtime.reader, all, DEFAULT_LIMITS, [], new Date(), usual)
  return causes
    .filter((cause) => cause.kind === kind)
    .map((cause) => {
      const row = { ...cause, id: 'a', startedAt: '', endedAt: null }
      return toNotice(row, 'began', undefined).text.replaceAll(/\d{4}-\S+Z/g, '<at>')
    })
}

describe('a paused queue that somebody has forgotten', () => {
  const pause = async (ago: string) => {
    const by = { actor: 'max@example.com', reason: 'The partner moves' }
    await opened.client.pauseQueue('importFeed', by)
    const [row] = await runtime.rows<{ at: Date }>(
      `update "JobQueue" set "pausedAt" = now() - $1::interval returning "pausedAt" as at`,
      [ago],
    )
    return row!.at.toISOString()
  }
  const wait = async (count: number, ago: string) =>
    await runtime.rows(
      `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
       select gen_random_uuid(), 'importFeed', now() - $2::interval, 2, '{}' from generate_series(1, $1::int)`,
      [count, ago],
    )
  beforeEach(async () => {
    await runtime.rows(
      `insert into "JobWorker" ("id", "liveness", "lanes") values ('w', 'heartbeat', '{"importFeed": 1}')`,
    )
  })

  it('is told with who, why and what waits, once work has waited for an hour of the pause', async () => {
    const since = await pause('61 minutes')
    await wait(431, '61 minutes')
    await wait(20, '-1 hour')
    await runtime.rows(`update "JobWork" set "place" = null where "dueAt" > now()`)
    expect(await problemsOf('pausedQueue')).toEqual([
      {
        kind: 'pausedQueue',
        name: 'importFeed',
        since,
        by: 'max@example.com',
        reason: 'The partner moves',
        waiting: 431,
        isCut: false,
      },
    ])
    expect(await textsOf('pausedQueue')).toEqual([
      'the queue of importFeed is paused since <at> by max@example.com: 431 pieces of work wait',
    ])
  })

  it('is not told while nothing has waited that long, or the pause is younger', async () => {
    await pause('2 hours')
    await wait(3, '59 minutes')
    expect(await problemsOf('pausedQueue')).toEqual([])
    await runtime.rows(`update "JobQueue" set "pausedAt" = now() - interval '59 minutes'`)
    await runtime.rows(`update "JobWork" set "dueAt" = now() - interval '2 hours'`)
    expect(await problemsOf('pausedQueue')).toEqual([])
  })

  it('is told after a day though nothing waits, and always named to monitors', async () => {
    await pause('23 hours')
    expect(await problemsOf('pausedQueue')).toEqual([])
    await runtime.rows(`update "JobQueue" set "pausedAt" = now() - interval '25 hours'`)
    expect(await problemsOf('pausedQueue')).toMatchObject([{ name: 'importFeed', waiting: 0 }])
    const health = await getJobHealth(runtime.reader, [importFeed], new Date())
    expect(health).toEqual({ problems: [], paused: [], pausedQueues: ['importFeed'] })
  })
})
