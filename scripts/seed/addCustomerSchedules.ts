import { randomUUID } from 'node:crypto'
import type { Prisma } from '@roundsman/db'
import { createJobsClient } from '@roundsman/engine/client'
import { nextTicks } from '@roundsman/engine/internal'
import { sendWeeklyReport } from '@roundsman/jobs'
import { DEMO_KEY, insertStatement } from './demoHistorySql.ts'

const CUSTOMERS = 400
/** Ticks that were enqueued are kept for a week. */
const PAST_MS = 7 * 86_400_000
const ZONES = [
  ...['Europe/Lisbon', 'Europe/Berlin', 'Europe/Istanbul', 'Africa/Nairobi', 'Asia/Kolkata'],
  ...['Asia/Tokyo', 'Australia/Lord_Howe', 'Pacific/Auckland', 'America/New_York'],
  ...['America/Sao_Paulo', 'America/Los_Angeles', 'UTC'],
] as const
const OFFICE = 'office@example.com'

/**
 * Gives each of some hundred customers a schedule of the weekly report in their zone, with the ticks of the last week, and
 * has some of them changed and paused. Nobody was invoiced, so that no report is mailed.
 */
export async function addCustomerSchedules(
  tx: Prisma.TransactionClient,
  url: string,
  now: Date,
): Promise<void> {
  const { schedules } = createJobsClient({ databaseUrl: url, schema: 'public' })
  const entries = Array.from({ length: CUSTOMERS }, (_, index) => {
    const number = String(index + 1).padStart(4, '0')
    return {
      key: `${DEMO_KEY}${number}`,
      cron: `${(index % 4) * 15} ${7 + (index % 3)} * * ${1 + (index % 5)}`,
      timeZone: ZONES[index % ZONES.length] as string,
      payload: { customerEmail: `customer-${number}@example.com` },
      jitterMs: 5 * 60_000,
      actor: OFFICE,
      reason: 'They signed up',
    }
  })
  await schedules.upsertMany(tx, sendWeeklyReport, entries)
  for (const entry of entries.filter((_, index) => index % 25 === 3)) {
    const reason = 'They asked for Fridays'
    const changed = { ...entry, cron: '0 16 * * 5', reason }
    await schedules.upsert(tx, sendWeeklyReport, changed)
  }
  const paused = entries.filter((_, index) => index % 40 === 7)
  for (const { key } of paused) {
    await schedules.pause(tx, sendWeeklyReport, key, {
      actor: OFFICE,
      reason: 'They have not paid',
    })
  }
  const past = entries.flatMap((entry, index) => {
    const [tick] = nextTicks(entry, new Date(now.getTime() - PAST_MS))
    if (tick === undefined || tick > now) return []
    const isPaused = paused.includes(entry)
    return [{ key: entry.key, scheduledFor: tick, index, workId: isPaused ? null : randomUUID() }]
  })
  const ticks = past.map(({ key, scheduledFor, workId }) => ({
    ...{ name: sendWeeklyReport.name, key, scheduledFor, workId, count: 1, version: 1 },
    ...(workId === null
      ? { outcome: 'skipped', reason: 'paused' }
      : { outcome: 'enqueued', reason: null }),
    createdAt: scheduledFor,
  }))
  const runs = past.flatMap(({ scheduledFor, index, workId }) => {
    if (workId === null) return []
    const startedAt = new Date(
      Math.min(scheduledFor.getTime() + 1_000 + index * 400, now.getTime()),
    )
    return [
      {
        ...{ id: workId, workId, name: sendWeeklyReport.name, trigger: 'schedule', attempt: 1 },
        ...{ scheduledFor, startedAt, createdAt: startedAt, status: 'success', details: {} },
        endedAt: new Date(Math.min(startedAt.getTime() + 40 + (index % 90), now.getTime())),
        ...{ dryRun: false, workerId: 'demo-1:4711:5f0c2a91' },
      },
    ]
  })
  await tx.$executeRawUnsafe(...insertStatement('JobKeyedTick', ticks))
  await tx.$executeRawUnsafe(...insertStatement('JobRun', runs))
}
