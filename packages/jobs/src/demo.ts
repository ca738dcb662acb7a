import { defineJob, defineLimit, defineSignal } from '@roundsman/engine'
import { z } from 'zod'

/*
 * Demo jobs, for a fresh development database to show and play with. They are not in the catalogue: a start adds them when
 * their history is in its database, and never in production.
 */

/** Shared with the script that writes a history of orders. */
export const demoOrderLabel = (orderId: number) => `Order ${orderId}`

/** Whose server refuses what is asked of it too fast. */
export const DEMO_LIMITED_TENANT = 'tenant-globex'

/** What may read from the feeds' server at once. */
export const demoFeedServer = defineLimit({ name: 'demoFeedServer', global: 3 })

export const demoImportFeed = defineJob({
  name: 'demoImportFeed',
  description: 'Demo: reads products from a feed that is away every other half an hour.',
  schedule: { cron: '*/15 * * * *' },
  timeoutMs: 2 * 60_000,
  retry: { limit: 2, delayMs: 20_000 },
  limits: [demoFeedServer],
})

export const demoImportCatalogue = defineJob({
  name: 'demoImportCatalogue',
  description: 'Demo: imports the catalogues of many tenants, each of which has its share.',
  payload: z.strictObject({ tenant: z.string(), page: z.int().positive() }),
  label: ({ tenant, page }) => `Page ${page} of ${tenant}`,
  partition: { key: ({ tenant }) => tenant },
  concurrency: { perWorker: 4, perKey: 2 },
  limits: [demoFeedServer],
  timeoutMs: 60_000,
})

export const demoSyncOrder = defineJob({
  name: 'demoSyncOrder',
  description: 'Demo: hands an order over to a shop that does not take every one.',
  payload: z.strictObject({ orderId: z.int().positive() }),
  label: ({ orderId }) => demoOrderLabel(orderId),
  show: ['orderId'],
  timeoutMs: 60_000,
  retry: { limit: 3, delayMs: 15_000 },
  rateLimit: { limit: 6, perMs: 60_000 },
})

export const demoArchiveOrders = defineJob({
  name: 'demoArchiveOrders',
  description: 'Demo: puts away old orders, and asks before it puts away too many.',
  schedule: { cron: '5 * * * *', missed: 'skip' },
  isDestructive: true,
  dryRun: true,
  guard: { maxRows: 5_000 },
})

export const demoNightlyReport = defineJob({
  name: 'demoNightlyReport',
  description: 'Demo: adds up the day, at half past two in the night by the clocks of Berlin.',
  schedule: { cron: '30 2 * * *', timeZone: 'Europe/Berlin' },
})

export const demoRebuildSearch = defineJob({
  name: 'demoRebuildSearch',
  description: 'Demo: builds the index of the search anew, which takes its time.',
  schedule: { cron: '0 4 * * *' },
  timeoutMs: 2 * 3_600_000,
})

/** The office has looked at a shop. Its key is the shop. */
export const demoShopApproved = defineSignal({
  name: 'demoShopApproved',
  payload: z.strictObject({ plan: z.enum(['small', 'large']) }),
})

/** Whose registrar does not answer, so that nobody knows whether the domain is theirs. */
export const DEMO_DOUBTFUL_SHOP = 'Harbour Tea'

export const demoOpenShop = defineJob({
  name: 'demoOpenShop',
  description: 'Demo: opens a shop, step by step, in two weeks.',
  payload: z.strictObject({ shop: z.string().min(1).max(60) }),
  label: ({ shop }) => `Shop ${shop}`,
  show: ['shop'],
  timeoutMs: 60_000,
  steps: {
    register: {},
    products: {},
    domain: { effect: 'once' },
    approval: { signal: demoShopApproved },
    trial: {},
    open: {},
  },
})

export const demoJobs = [
  demoImportFeed,
  demoImportCatalogue,
  demoSyncOrder,
  demoArchiveOrders,
  demoNightlyReport,
  demoRebuildSearch,
  demoOpenShop,
] as const

export const demoJobNames: readonly string[] = demoJobs.map(({ name }) => name)
