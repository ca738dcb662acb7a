import { setTimeout as delay } from 'node:timers/promises'
import { JobError, RateLimited, type HandlersFor } from '@roundsman/engine'
import {
  DEMO_DOUBTFUL_SHOP,
  DEMO_LIMITED_TENANT,
  demoImportCatalogue,
  demoShopApproved,
  demoSyncOrder,
  type demoJobs,
} from '@roundsman/jobs/demo'
import type { Transaction } from './handler.ts'

/** The handlers of the demo's jobs. They pretend to work, and change only their own counts and queue. */
export const demoHandlers: HandlersFor<typeof demoJobs, Transaction> = {
  async demoImportFeed({ batch, enqueue, progress, log, now, signal }) {
    const pages = 4
    for (let page = 1; page <= pages; page++) {
      const products = await readFeed(page, now(), signal).catch((error: unknown) => {
        log.warn({ page }, 'the feed could not be read')
        throw error
      })
      log.info({ page, products }, 'page read')
      await batch(async (tx) => {
        const orderId = 100_000 + (Math.floor(now().getTime() / 60_000) % 100_000) * pages + page
        await enqueue(tx, demoSyncOrder, { orderId })
        return { imported: products, orders: 1 }
      })
      progress(page, pages)
    }
  },

  async demoImportCatalogue({ payload: { tenant, page }, log, signal }) {
    // One tenant's server asks for patience each time.
    if (tenant === DEMO_LIMITED_TENANT) {
      throw new RateLimited({
        retryAfter: 15 * 60_000,
        scope: 'key',
        message: 'Their server answered with status 429',
      })
    }
    await delay(4_000 + (page % 5) * 1_000, undefined, { signal })
    log.info({ page }, 'page imported')
    return { imported: 50 }
  },

  async demoSyncOrder({ payload: { orderId }, run, log, signal }) {
    log.info({ orderId }, 'order is handed over')
    await delay(200 + (orderId % 17) * 60, undefined, { signal })
    if (orderId % 19 === 0) {
      throw new JobError(
        'order_invalid',
        'The shop refuses it: the order has no delivery address',
        {
          retryable: false,
        },
      )
    }
    if (orderId % 5 === 0 && run.attempt === 1) {
      throw new JobError('shop_unavailable', 'The shop answered with status 503')
    }
    return { synced: 1 }
  },

  async demoArchiveOrders({ batch, guard, now, signal }) {
    // Once a day too many are due: the guard blocks the run, and somebody has to decide.
    const due = now().getUTCHours() === 9 ? 12_000 : 300
    await guard({ due: async () => due, total: async () => 40_000 })
    for (let left = due; left > 0; left -= 100) {
      await batch(async () => ({ archived: Math.min(100, left) }))
      await delay(50, undefined, { signal })
    }
  },

  async demoNightlyReport({ batch, progress, signal }) {
    const shops = 12
    for (let shop = 1; shop <= shops; shop++) {
      await delay(400, undefined, { signal })
      await batch(async () => ({ reported: 1 }))
      progress(shop, shops)
    }
  },

  async demoRebuildSearch({ batch, progress, signal }) {
    const parts = 60
    for (let part = 1; part <= parts; part++) {
      await delay(2_000, undefined, { signal })
      await batch(async () => ({ indexed: 500 }))
      progress(part * 500, parts * 500)
    }
  },

  async demoOpenShop({ payload: { shop }, step }) {
    await step.run('register', async ({ signal }) => {
      await delay(700, undefined, { signal })
      return { customer: `c-${shop.length}`, plan: 'trial' }
    })
    const pages = [1, 2, 3].map((page) => ({ tenant: shop, page }))
    await step.map('products', demoImportCatalogue, pages, { onFailure: 'collect' })
    const { domain } = await step.run('domain', async ({ signal }) => {
      await delay(400, undefined, { signal })
      if (shop === DEMO_DOUBTFUL_SHOP) throw new Error('socket hang up')
      return { domain: domainOf(shop) }
    })
    const approval = await step.waitFor('approval', demoShopApproved, {
      ...{ key: shop, timeout: { days: 7 } },
    })
    if (approval === null) throw new JobError('not_approved', 'Nobody has approved the shop')
    await step.sleep('trial', { days: 14 })
    await step.tx('open', async (_tx, { count }) => {
      count({ opened: 1 })
      return { domain, plan: approval.plan }
    })
  },
}

/** As the registrar would write it: `harbour-tea.example.com`. */
const domainOf = (shop: string) =>
  `${shop.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}.example.com`

/** Pretends to read a page. In the second half of each hour it fails as `fetch` does when nobody listens. */
async function readFeed(page: number, at: Date, signal: AbortSignal): Promise<number> {
  await delay(300, undefined, { signal })
  if (at.getUTCMinutes() >= 30) {
    const cause = Object.assign(new Error('connect ECONNREFUSED feed.example.com:443'), {
      code: 'ECONNREFUSED',
    })
    throw new TypeError('fetch failed', { cause })
  }
  return 35 + page
}
