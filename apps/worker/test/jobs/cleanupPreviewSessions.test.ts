// Not quick: cleans large tables.
import { cleanupPreviewSessions as job } from '@roundsman/jobs'
import { describe, expect, it } from 'vitest'
import { insertSessionsFrom, previewSessions } from './cleanups.ts'
import { describeCleanup, NOW } from './describeCleanup.ts'

const HOUR_MS = 3_600_000

describe('cleanupPreviewSessions', () => {
  const { run, expectRuns, prisma } = describeCleanup(previewSessions)

  /** Inserts one session and returns its status after the next run. */
  async function statusAfterRun(session: {
    expiresInMs: number
    revoked?: boolean
    status?: 'active' | 'expired'
  }): Promise<string> {
    const { expiresInMs, revoked = false, status = 'active' } = session
    const { id } = await prisma().previewSession.create({
      data: {
        tokenHash: 'hash',
        label: 'one',
        expiresAt: new Date(NOW.getTime() + expiresInMs),
        revoked,
        status,
      },
    })
    await run()
    return (await prisma().previewSession.findUniqueOrThrow({ where: { id } })).status
  }

  it('counts by reason: two past their time, one revoked', async () => {
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 2)
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() + HOUR_MS), 1, { revoked: true })

    await run()

    const statuses = await prisma().previewSession.groupBy({ by: ['status'], _count: true })
    expect(statuses).toEqual([{ status: 'expired', _count: 3 }])
    await expectRuns({ details: { cleaned: 3, expired: 2, revoked: 1, batches: 1 } })
  })

  it('fills up a batch of those past their time with revoked ones, and cleans all of both', async () => {
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 1_200)
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() + HOUR_MS), 700, { revoked: true })

    await run()

    expect(await prisma().previewSession.count({ where: { status: 'active' } })).toBe(0)
    await expectRuns({ details: { cleaned: 1_900, expired: 1_200, revoked: 700, batches: 2 } })
  })

  it('counts by reason page by page as well', async () => {
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 9_000)
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() + HOUR_MS), 6_000, { revoked: true })
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 1_000, { revoked: true })

    await run()

    expect(await prisma().previewSession.count({ where: { status: 'active' } })).toBe(0)
    await expectRuns({
      details: { cleaned: 16_000, expired: 9_000, revoked: 7_000, batches: expect.any(Number) },
    })
  })

  it('counts a session that is both past its time and revoked once, as revoked', async () => {
    expect(await statusAfterRun({ expiresInMs: -1, revoked: true })).toBe('expired')
    await expectRuns({ details: { cleaned: 1, expired: 0, revoked: 1, batches: 1 } })
  })

  it('marks one that expired a millisecond ago', async () => {
    expect(await statusAfterRun({ expiresInMs: -1 })).toBe('expired')
    await expectRuns({ details: { cleaned: 1, expired: 1, revoked: 0, batches: 1 } })
  })

  it('leaves one alone that expires at this very instant', async () => {
    expect(await statusAfterRun({ expiresInMs: 0 })).toBe('active')
    await expectRuns({ details: { cleaned: 0, expired: 0, revoked: 0, batches: 0 } })
  })

  it('leaves one alone that has time left', async () => {
    expect(await statusAfterRun({ expiresInMs: 1 })).toBe('active')
  })

  it('does not count one again that was marked before', async () => {
    await statusAfterRun({ expiresInMs: -1, revoked: true, status: 'expired' })
    await expectRuns({ details: { cleaned: 0, expired: 0, revoked: 0, batches: 0 } })
  })

  it('asks before it ends nearly all that are active, however many have ended before', async () => {
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 20_000)
    await prisma().previewSession.updateMany({ data: { status: 'expired' } })
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 10_001)

    await run({ job })

    expect(await prisma().previewSession.count({ where: { status: 'active' } })).toBe(10_001)
    await expectRuns({
      status: 'failed',
      details: {
        guard: { due: 10_001, allowed: 10_000, total: 10_001 },
        error: { code: 'guard_blocked', message: expect.any(String) },
      },
    })
  })

  it('changes nothing of a session but its status', async () => {
    await insertSessionsFrom(prisma(), new Date(NOW.getTime() - HOUR_MS), 1)
    const before = await prisma().previewSession.findFirst()

    await run()

    expect(await prisma().previewSession.findFirst()).toEqual({ ...before, status: 'expired' })
  })
})
