import { z } from 'zod'
import type { Prisma } from '@roundsman/db'
import { defineJob, defineSignal, JobError, type HandlersFor, type Job } from '@roundsman/engine'
import { createGate } from './createGate.ts'
import type { TestJobs } from './createTestJobs.ts'

const approved = defineSignal({
  name: 'shopApproved',
  payload: z.strictObject({ by: z.string().min(1) }),
})

/** How many calls the longest timeline has. */
export const MANY_STEPS = 200
export const PAGES = 5

const importPage = defineJob({
  name: 'importPage',
  payload: z.strictObject({ page: z.int().positive() }),
  label: ({ page }) => `Page ${page}`,
  concurrency: { perWorker: 10 },
  retry: { limit: 0 },
})

/** What a shop does. */
const KINDS = [
  'approval',
  'signal',
  'trial',
  'doubt',
  'import',
  'failure',
  'cancelled',
  'many',
] as const
export type ShopKind = (typeof KINDS)[number]

const openShop = defineJob({
  name: 'openShop',
  description: 'Opens a shop, which takes weeks.',
  payload: z.strictObject({ kind: z.enum(KINDS) }),
  label: ({ kind }) => `Shop of ${kind}`,
  retry: { limit: 0 },
  steps: {
    register: {},
    domain: { effect: 'once' },
    products: {},
    approval: { signal: approved },
    trial: {},
    announce: {},
    undo: {},
  },
})

/** Durable jobs that do all that a timeline shows. Children wait at the gate, the second of them fails. */
export function createStepJobs(): TestJobs {
  const steps = createGate()
  const jobs = [openShop, importPage] as const
  const handlers: HandlersFor<typeof jobs, Prisma.TransactionClient> = {
    async openShop({ payload: { kind }, step }) {
      await step.run('register', () => ({ shop: kind, url: `https://${kind}.example.com` }))
      if (kind === 'many') {
        for (let call = 1; call < MANY_STEPS; call += 1)
          await step.run('products', () => call, { item: `batch ${call}` })
        return
      }
      if (kind === 'doubt') {
        await step.run('domain', () => {
          throw new Error('socket hang up')
        })
      }
      if (kind === 'import') {
        const pages = Array.from({ length: PAGES }, (_, at) => ({ page: at + 1 }))
        await step.map('products', importPage, pages, { onFailure: 'collect' })
      }
      try {
        if (kind === 'failure')
          await step.run('announce', () => {
            throw new JobError('list_closed', 'The list takes no more shops', { retryable: false })
          })
        if (kind === 'trial') await step.sleep('trial', { days: 14 })
        await step.waitFor('approval', approved, { key: kind, timeout: { days: 7 } })
        await step.tx('announce', async () => undefined)
      } catch (error) {
        await step.run('undo', () => ({ undone: 1 }))
        throw error
      }
    },
    async importPage({ payload: { page }, signal }) {
      if (page === 2) throw new JobError('page_empty', 'There is nothing on this page')
      if (page > 3) await steps.pass(signal)
    },
  }
  return {
    jobs,
    handlers: handlers as never,
    steps,
    partner: { isDown: false },
  }
}
