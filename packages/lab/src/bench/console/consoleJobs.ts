import { defineJob, type Job } from '@roundsman/engine'
import type { JobShare } from '../fillRuns.ts'

/** A job of the catalogue, and how its runs lie in the history. */
type ConsoleJob = Omit<JobShare, 'name'> & { job: Job }

/** Shares of jobs that run all the time; the others take theirs out of the last of these. */
export const CONSOLE_JOBS: readonly ConsoleJob[] = [
  { job: queued('sendMail', 'Sends a mail to a customer'), share: 4_500 },
  { job: queued('renderInvoice', 'Renders an invoice as PDF'), share: 2_500 },
  { job: scheduled('importFeed', 'Reads the feed of a supplier'), share: 400 },
  { job: scheduled('pruneRows', 'Removes what is too old'), share: 5 },
  // No run of it is among the last millions: whoever asks for it must not go through these.
  { job: queued('exportOrders', 'Exports orders to the old shop'), share: 1_000, to: 2 / 3 },
  // All of its runs are among the last, as of a job that a release brought.
  { job: queued('syncStock', 'Tells the shop what is in stock'), share: 600, from: 0.98 },
  { job: queued('sweepCarts', 'Has never run'), share: 0 },
  { job: queued('syncOrder', 'Sends an order to the shop'), share: 10_000 },
]

function queued(name: string, description: string): Job {
  return defineJob({ name, description, concurrency: 10 })
}

function scheduled(name: string, description: string): Job {
  return defineJob({ name, description, schedule: { cron: '0 4 * * *', timeZone: 'UTC' } })
}
