import { setTimeout as pause } from 'node:timers/promises'
import type { PrismaClient } from '@roundsman/db'
import {
  defineJob,
  withEngineJobs,
  type HandlersFor,
  type Job,
  type TransactionOf,
} from '@roundsman/engine'
import { z } from 'zod'

const labelled = z.strictObject({ label: z.string() })
const label = (payload: { label: string }) => payload.label

/** A job for each incident. The digest's schedule is what somebody changes. */
export const incidentJobs = (cron = '0 7 * * *') =>
  [
    defineJob({ name: 'syncStock' }),
    defineJob({ name: 'importFeed', payload: labelled, label, concurrency: 1 }),
    defineJob({ name: 'countStock' }),
    defineJob({ name: 'sendReceipt', payload: labelled, label }),
    defineJob({ name: 'renderPoster', payload: labelled, label }),
    defineJob({ name: 'archiveCarts' }),
    defineJob({ name: 'sendDigest', schedule: { cron, timeZone: 'Europe/Berlin' } }),
    defineJob({ name: 'callPartner', payload: labelled, label, retry: { limit: 0 } }),
  ] as const

/** It has left the catalogue: no worker and no console knows it. */
export const printLabels = defineJob({ name: 'printLabels' })

export type IncidentJob = ReturnType<typeof incidentJobs>[number]['name'] | 'pruneJobRuns'

/** As people see them. */
export const catalogue: readonly Job[] = withEngineJobs(incidentJobs())

export const createIncidentHandlers = (
  client: Pick<PrismaClient, '$executeRawUnsafe'>,
): HandlersFor<ReturnType<typeof incidentJobs>, TransactionOf<PrismaClient>> => ({
  // 50 ms, before.
  syncStock: ({ signal }) => pause(2_000, undefined, { signal }),
  importFeed: ({ signal }) => pause(1_000, undefined, { signal }),
  countStock: async () => ({
    counted: await client.$executeRawUnsafe('update "Stock" set "count" = 1'),
  }),
  sendReceipt: async () => ({ sent: 1 }),
  // As the kernel does to a process of which it has too much in memory.
  renderPoster: async () => void process.kill(process.pid, 'SIGKILL'),
  // Since the deploy it looks for a state that no cart has any more.
  archiveCarts: async () => ({ archived: 0 }),
  sendDigest: async () => undefined,
  callPartner: async () => {
    throw new Error('The partner does not answer')
  },
})
