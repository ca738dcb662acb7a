import type { Job } from '../src/index.ts'
import { readRules } from '../src/queue/limitSql.ts'
import { createLimits, type Limits } from '../src/work/limits.ts'
import { registerLimits } from '../src/worker/registerLimits.ts'
import type { TestRuntime } from './openTestRuntime.ts'

/** What a worker knows of the limits of these jobs once it has registered them. */
export async function registeredLimits(
  { database }: TestRuntime,
  jobs: readonly Job[],
): Promise<Limits> {
  await database.transaction((tx) => registerLimits(tx, { workerId: 'w1', jobs }))
  const limits = createLimits()
  const names = jobs.map(({ name }) => name)
  limits.note(await readRules(database, names))
  return limits
}
