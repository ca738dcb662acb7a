import type { ScheduledJob } from '@roundsman/engine'
import type { Queryable } from '../../openPool.ts'
import type { ClaimsLeft } from '../countClaims.ts'
import type { FleetHistory } from '../createFleet.ts'
import type { Load } from '../enqueueLoad.ts'
import type { Sample } from '../sampleCounts.ts'
import { checkClaims } from './checkClaims.ts'
import { checkCounts } from './checkCounts.ts'
import { checkEffects } from './checkEffects.ts'
import { checkEnqueue } from './checkEnqueue.ts'
import { checkGracefulStops } from './checkGracefulStops.ts'
import { checkRunEnds } from './checkRunEnds.ts'
import { checkSamples } from './checkSamples.ts'
import { checkSuccesses } from './checkSuccesses.ts'
import { checkTickJobs } from './checkTickJobs.ts'
import { checkTicks } from './checkTicks.ts'

/** What is known from outside of the database. */
export interface Evidence {
  load: Load
  /** Each has to have every tick in the ledger, from `startAt` to its cursor. */
  schedules: readonly ScheduledJob[]
  startAt: Date
  samples: readonly Sample[]
  claims: ClaimsLeft
  fleet: Pick<FleetHistory, 'gracefulStops' | 'crashes'>
}

export interface CheckResult {
  guarantee: string
  /** What holds, in words. */
  name: string
  isPassed: boolean
  figures: string
}

/** A check of the database after all workers have ended. */
export type Check = (database: Queryable, evidence: Evidence) => Promise<CheckResult>

const CHECKS: readonly Check[] = [
  checkTicks,
  checkTickJobs,
  checkRunEnds,
  checkClaims,
  checkSuccesses,
  checkCounts,
  checkSamples,
  checkEnqueue,
  checkEffects,
  checkGracefulStops,
]

export async function checkGuarantees(
  database: Queryable,
  evidence: Evidence,
): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  for (const check of CHECKS) results.push(await check(database, evidence))
  return results
}
