import { createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { EnvironmentError } from '@roundsman/node-app'
import { isScheduled, type Job } from '@roundsman/engine'
import { pino } from 'pino'
import { finishFirst } from '../command/finishFirst.ts'
import { disconnect } from '../disconnect.ts'
import type { WorkerEnvironment } from '../env.ts'
import { createCleanups } from '../jobs/index.ts'
import { openMigratedDatabase } from '../openMigratedDatabase.ts'
import { checkClockChanges } from './checkClockChanges.ts'
import { checkDefinitions } from './checkDefinitions.ts'
import { checkEnvironment } from './checkEnvironment.ts'
import { checkIndexes, type DeclaredSweep } from './checkIndexes.ts'
import { checkRetention } from './checkRetention.ts'
import { checkSchedules } from './checkSchedules.ts'
import { checkSweeps } from './checkSweeps.ts'
import type { Finding } from './finding.ts'

export interface CheckResult {
  jobs: string[]
  findings: Finding[]
  /** What could not be looked at, and why. */
  unchecked: { what: string; reason: string }[]
}

export interface CheckProjectOptions {
  variables: NodeJS.ProcessEnv
  /** Whether to look into the database; where DATABASE_URL names none, the embedded one is taken, or made. */
  withDatabase: boolean
  now: Date
}

/** Everything that can be found out about this product's jobs without running any. */
export async function checkProject(options: CheckProjectOptions): Promise<CheckResult> {
  const { env, findings, databaseProblem } = checkEnvironment(options.variables)
  const { now, withDatabase } = options
  const jobs: readonly Job[] = env.jobs
  const scheduled = jobs.filter(isScheduled)
  const sweeps = declaredSweeps(env, now)
  findings.push(
    ...checkDefinitions(jobs),
    ...checkSweeps(jobs, sweeps),
    ...checkRetention(scheduled, env),
    ...checkSchedules(scheduled, now),
    ...checkClockChanges(scheduled, now),
  )
  const unchecked: CheckResult['unchecked'] = []
  const reason = withDatabase ? databaseProblem : '--no-database was given'
  if (reason === null) {
    const look = () => withPrisma(env, (prisma) => checkIndexes(prisma, sweeps))
    findings.push(...(await finishFirst(look)))
  } else {
    unchecked.push({ what: 'indexes of what is swept', reason })
  }
  return { jobs: jobs.map(({ name }) => name), findings, unchecked }
}

/** By the same declarations that the handlers work with. */
function declaredSweeps(env: WorkerEnvironment, now: Date): DeclaredSweep[] {
  return Object.entries(createCleanups(env)).map(([job, { sweeps }]) => ({
    job,
    rows: sweeps(now),
  }))
}

async function withPrisma(
  env: WorkerEnvironment,
  look: (prisma: PrismaClient) => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    const { url, release } = await openMigratedDatabase(env, pino({ level: 'silent' }))
    const prisma = createDatabaseClient({
      url,
      applicationName: 'roundsman check',
      poolSize: 1,
      onPoolError: () => undefined,
    })
    try {
      return await look(prisma)
    } finally {
      await disconnect(prisma)
      await release()
    }
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error
    return error.problems.map((problem) => ({
      severity: 'error',
      code: 'database_unusable',
      job: null,
      problem,
      remedy: 'correct it, or leave the database out with --no-database',
    }))
  }
}
