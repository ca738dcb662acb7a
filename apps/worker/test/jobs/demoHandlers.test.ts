import { runOnce } from '@roundsman/engine/worker'
import {
  DEMO_LIMITED_TENANT,
  demoArchiveOrders,
  demoImportCatalogue,
  demoImportFeed,
  demoSyncOrder,
  type demoJobs,
} from '@roundsman/jobs/demo'
import { pino } from 'pino'
import { openForTests } from '@roundsman/testing'
import { describe, expect, it } from 'vitest'
import { demoHandlers } from '../../src/jobs/demoHandlers.ts'
import { openWorkerDatabase } from '../openWorkerDatabase.ts'

const log = pino({ level: 'silent' })

const database = openForTests(openWorkerDatabase)

async function run(job: (typeof demoJobs)[number], time: string, payload: unknown = {}) {
  const result = await runOnce({
    databaseUrl: database.url,
    schema: 'public',
    client: database.prisma,
    job,
    handler: demoHandlers[job.name],
    payload,
    log,
    now: () => new Date(`2026-11-27T${time}:00Z`),
  })
  return result.kind === 'ended' ? result.run : null
}

describe('the jobs of the demo', () => {
  it('read the feed in the first half of an hour, and enqueue what follows', async () => {
    expect(await run(demoImportFeed, '10:10')).toMatchObject({
      status: 'success',
      details: { imported: 150, orders: 4, batches: 4 },
    })
    const [queued] = await database.prisma.$queryRaw<{ count: number; label: string }[]>`
      select count(*)::int as "count", min("label") as "label" from "JobWork" where "name" = ${demoSyncOrder.name}`
    expect(queued).toMatchObject({ count: 4, label: expect.stringMatching(/^Order \d+$/) })
  })

  it('fail as fetch does in the second half', async () => {
    expect(await run(demoImportFeed, '10:40')).toMatchObject({
      status: 'failed',
      details: { error: { message: 'fetch failed', cause: { code: 'ECONNREFUSED' } } },
    })
  })

  it('are refused by the server of one tenant', async () => {
    const payload = { tenant: DEMO_LIMITED_TENANT, page: 1 }
    expect(await run(demoImportCatalogue, '10:10', payload)).toMatchObject({
      status: 'failed',
      details: { error: { code: 'rate_limited' } },
    })
  })

  it('ask before they put away too many, once a day', async () => {
    expect(await run(demoArchiveOrders, '09:05')).toMatchObject({
      status: 'failed',
      details: { error: { code: 'guard_blocked' } },
    })
    expect(await run(demoArchiveOrders, '11:05')).toMatchObject({
      status: 'success',
      details: { archived: 300 },
    })
  })

  it.each([
    [19, 'order_invalid'],
    [5, 'shop_unavailable'],
  ])('give up order %i, with %s', async (orderId, code) => {
    expect(await run(demoSyncOrder, '10:10', { orderId })).toMatchObject({
      status: 'failed',
      details: { error: { code } },
    })
  })
})
