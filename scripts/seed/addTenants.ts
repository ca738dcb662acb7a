import { randomUUID } from 'node:crypto'
import type { Prisma } from '@roundsman/db'
import { createJobsClient } from '@roundsman/engine/client'
import { DEMO_LIMITED_TENANT, demoImportCatalogue } from '@roundsman/jobs/demo'
import { insertStatement } from './demoHistorySql.ts'

const BIG = 'tenant-acme'
const PAUSED = 'tenant-initech'
const SMALL = Array.from(
  { length: 40 },
  (_, index) => `tenant-${String(index + 1).padStart(3, '0')}`,
)
const OFFICE = 'office@example.com'
const REASON = 'They move their shop, and asked us to wait'

/** Enqueues the catalogues of a big tenant and of many small ones, one of which people have paused, after an hour in which some were imported. */
export async function addTenants(
  tx: Prisma.TransactionClient,
  url: string,
  now: Date,
): Promise<void> {
  const client = createJobsClient({ databaseUrl: url, schema: 'public' })
  const pages = (tenant: string, count: number) =>
    Array.from({ length: count }, (_, index) => ({ payload: { tenant, page: index + 1 } }))
  await client.enqueueMany(tx, demoImportCatalogue, [
    ...pages(BIG, 300),
    ...pages(PAUSED, 12),
    ...pages(DEMO_LIMITED_TENANT, 8),
    ...SMALL.flatMap((tenant, index) => pages(tenant, 1 + (index % 3))),
  ])
  const { name } = demoImportCatalogue
  const at = new Date(now.getTime() - 26 * 60_000)
  const by = { reason: REASON, name }
  await tx.$executeRawUnsafe(
    ...insertStatement('JobKey', [
      {
        ...{
          ...by,
          key: PAUSED,
          weight: 1,
          pausedUntil: 'infinity',
          pausedBy: OFFICE,
          pausedAt: at,
        },
        ...{ pauseReason: REASON, setBy: OFFICE, setAt: at },
      },
    ]),
  )
  const reason = `${PAUSED}: paused until somebody resumes it, before: none; ${REASON}`
  await tx.$executeRawUnsafe(
    ...insertStatement('JobAction', [
      { id: randomUUID(), at, action: 'setKey', name, actor: OFFICE, reason },
    ]),
  )
  // Two of three were the big tenant's.
  const runs = Array.from({ length: 90 }, (_, index) => {
    const tenant = index % 3 === 0 ? (SMALL[index % SMALL.length] as string) : BIG
    const startedAt = new Date(now.getTime() - (index + 1) * 35_000)
    const id = randomUUID()
    return {
      ...{ id, workId: id, name, key: tenant, label: `Page ${1_000 + index} of ${tenant}` },
      ...{ status: 'success', trigger: 'queue', attempt: 1, startedAt, createdAt: startedAt },
      endedAt: new Date(startedAt.getTime() + 4_000 + (index % 5) * 1_000),
      ...{ details: { imported: 50 }, dryRun: false, workerId: 'demo-1:4711:5f0c2a91' },
    }
  })
  await tx.$executeRawUnsafe(...insertStatement('JobRun', runs))
}
