import { z } from 'zod'
import type { Prisma } from '@roundsman/db'
import { defineJob, JobError, type HandlersFor, type Job } from '@roundsman/engine'
import { createGate, type Gate } from './createGate.ts'

export const STEPS = 3
/** How many rows each step of `sweepRows` cleans. */
export const ROWS = 1_000
/** How many rows the guarded job finds due; its guard allows one. */
export const DUE = 1_234

export interface TestJobs {
  jobs: readonly Job[]
  handlers: HandlersFor<readonly Job[], Prisma.TransactionClient>
  /** The gate of `walkSteps` and `sweepRows` before each of their steps. */
  steps: Gate
  /** Whether `callPartner` fails. At first it does. */
  partner: { isDown: boolean }
}

/** Makes a catalogue with a job of each kind that the console treats differently. */
export function createTestJobs(): TestJobs {
  const steps = createGate()
  const partner = { isDown: true }
  const jobs = [
    defineJob({
      name: 'countSheep',
      dryRun: true,
      description: 'Is done at once.',
      schedule: { cron: dailyInHours(6) },
    }),
    defineJob({ name: 'walkSteps', description: 'Takes some steps, and its time for each.' }),
    defineJob({
      name: 'sweepRows',
      description: 'Cleans in batches, and takes its time for each.',
    }),
    defineJob({
      name: 'callPartner',
      description: 'Calls a partner, who may not answer.',
      retry: { limit: 0 },
    }),
    defineJob({
      name: 'pruneRows',
      description: 'Removes what is due, unless that is too much.',
      schedule: { cron: dailyInHours(9), timeZone: 'Europe/Berlin' },
      guard: { maxRows: 1 },
    }),
    defineJob({
      name: 'greetCustomer',
      description: 'Greets the customer that it is told of.',
      payload: z.strictObject({ customer: z.string().min(1) }),
      retry: { limit: 0 },
      label: ({ customer }) => `Greeting of ${customer}`,
    }),
  ] as const
  const handlers: HandlersFor<typeof jobs, Prisma.TransactionClient> = {
    countSheep: async (context) => {
      await context.batch(async () => ({ cleaned: context.run.dryRun ? 0 : 3 }))
    },
    walkSteps: async ({ signal, progress }) => {
      for (let done = 0; done < STEPS; done += 1) {
        progress(done, STEPS)
        await steps.pass(signal)
      }
      return { steps: STEPS }
    },
    sweepRows: async ({ signal, progress, batch }) => {
      for (let done = 1; done <= STEPS; done += 1) {
        await steps.pass(signal)
        await batch(async () => ({ cleaned: ROWS }))
        progress(done, STEPS)
      }
    },
    callPartner: async ({ log }) => {
      log.info({ partner: 'b17' }, 'calling')
      if (partner.isDown) {
        const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED' })
        throw new JobError('partner_down', 'The partner does not answer', { cause })
      }
      return { answers: 1 }
    },
    pruneRows: async (context) => {
      await context.guard({ total: async () => DUE, due: async () => DUE })
      await context.batch(async () => ({ cleaned: DUE }))
    },
    greetCustomer: async ({ payload: { customer } }) => {
      if (customer === 'nobody') throw new TypeError('There is nobody to greet')
      return { greeted: customer }
    },
  }
  return { jobs, handlers: handlers as never, steps, partner }
}

/** Hours away from now, so that no tick falls into the tests. */
function dailyInHours(hours: number): string {
  const at = new Date(Date.now() + hours * 3_600_000)
  return `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`
}
