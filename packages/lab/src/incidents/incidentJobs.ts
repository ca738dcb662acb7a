import { setTimeout as pause } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import {
  defineJob,
  defineLimit,
  reschedule,
  withEngineJobs,
  type HandlersFor,
  type Job,
  type TransactionOf,
} from '@roundsman/engine'
import { z } from 'zod'

const labelled = z.strictObject({ label: z.string() })
const label = (payload: { label: string }) => payload.label

const sendDigest = defineJob({
  name: 'sendDigest',
  schedule: { cron: '0 7 * * *', timeZone: 'Europe/Berlin' },
})

const partner = defineLimit({ name: 'partner', global: 4 })

/** A job for each incident. The digest's schedule is what somebody changes, by a variable of the environment. */
export const incidentJobs = (cron?: string) =>
  [
    defineJob({ name: 'importFeed', payload: labelled, label, concurrency: 1 }),
    defineJob({ name: 'countStock' }),
    defineJob({ name: 'sendReceipt', payload: labelled, label }),
    defineJob({ name: 'renderPoster', payload: labelled, label }),
    cron === undefined ? sendDigest : reschedule(sendDigest, cron, 'SEND_DIGEST_CRON'),
    defineJob({ name: 'callPartner', payload: labelled, label, retry: { limit: 0 } }),
    defineJob({ name: 'writeExport', retry: { limit: 0 } }),
    defineJob({ name: 'sendNewsletter' }),
    defineJob({ name: 'askPartner', concurrency: 4 }),
    defineJob({ name: 'chargeCard', payload: labelled, label, retry: { limit: 0 } }),
    defineJob({ name: 'syncOrders', limits: [partner] }),
    defineJob({ name: 'syncPrices', limits: [partner] }),
    defineJob({ name: 'syncStock', limits: [partner] }),
    defineJob({ name: 'closeTenant', partition: { key: () => 'any' } }),
  ] as const

/** It has left the catalogue: no worker and no console knows it. */
export const printLabels = defineJob({ name: 'printLabels' })

export type IncidentJob = ReturnType<typeof incidentJobs>[number]['name'] | 'pruneJobRuns'

/** As people see them. */
export const catalogue: readonly Job[] = withEngineJobs(incidentJobs())

export const createIncidentHandlers = (
  client: Pick<PrismaClient, '$executeRawUnsafe'>,
): HandlersFor<ReturnType<typeof incidentJobs>, TransactionOf<PrismaClient>> => ({
  importFeed: ({ signal }) => pause(1_000, undefined, { signal }),
  countStock: async () => ({
    counted: await client.$executeRawUnsafe('update "Stock" set "count" = 1'),
  }),
  sendReceipt: async () => ({ sent: 1 }),
  // As the kernel does to a process of which it has too much in memory.
  renderPoster: async () => void process.kill(process.pid, 'SIGKILL'),
  sendDigest: async () => undefined,
  callPartner: async () => {
    throw new Error('The partner does not answer')
  },
  writeExport: async () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  },
  sendNewsletter: async () => undefined,
  // Nobody has given the call a time-out.
  askPartner: ({ signal }) => pause(3_600_000, undefined, { signal }),
  syncOrders: ({ signal }) => pause(3_600_000, undefined, { signal }),
  syncPrices: async () => undefined,
  syncStock: async () => undefined,
  closeTenant: async () => undefined,
  chargeCard: async ({ payload }) => {
    if (payload.label === 'Tenant 17') throw new Error('Its card has expired')
  },
})
