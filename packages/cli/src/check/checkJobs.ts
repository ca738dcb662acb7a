import { isScheduled } from '@roundsman/engine'
import type { Product } from '../command/product.ts'
import { checkClockChanges } from './checkClockChanges.ts'
import { checkDefinitions } from './checkDefinitions.ts'
import { checkSchedules } from './checkSchedules.ts'
import type { Finding } from './finding.ts'

/** Finds the problems of jobs that their definitions alone show. */
export function checkJobs(product: Pick<Product, 'jobs' | 'cronVariable'>, now: Date): Finding[] {
  const scheduled = product.jobs.filter(isScheduled)
  return [
    ...checkDefinitions(product),
    ...checkSchedules(scheduled, now, product.cronVariable),
    ...checkClockChanges(scheduled, now),
  ]
}
