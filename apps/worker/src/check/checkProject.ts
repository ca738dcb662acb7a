import { ENGINE_SCHEMA, createDatabaseClient, type PrismaClient } from '@roundsman/db'
import { EnvironmentError } from '@roundsman/node-app'
import { isEngineJob, isScheduled, type Job, type ScheduledJob } from '@roundsman/engine'
import { pino } from 'pino'
import {
  checkAgainst,
  checkJobs,
  checkPooler,
  checkVacuum,
  describeDuration,
  withReader,
  type CheckOptions,
  type CheckResult,
  type Finding,
} from 'roundsman/commands'
import { disconnect } from '../disconnect.ts'
import type { WorkerEnvironment } from '../env.ts'
import { createCleanups } from '../jobs/index.ts'
import { deferSignals } from '../command/deferSignals.ts'
import { acquireMigratedDatabase } from '../acquireMigratedDatabase.ts'
import { cronVariable } from '../cronVariable.ts'
import { checkEnvironment } from './checkEnvironment.ts'
import { checkIndexes, type DeclaredSweep } from './checkIndexes.ts'

export interface CheckProjectOptions extends CheckOptions {
  variables: NodeJS.ProcessEnv
}

/** Finds all that can be found out about this product's jobs without running any. */
export async function checkProject(options: CheckProjectOptions): Promise<CheckResult> {
  const { env, findings, databaseProblem } = checkEnvironment(options.variables)
  const { now, withDatabase, against } = options
  const jobs: readonly Job[] = env.jobs
  const sweeps = declaredSweeps(env, now)
  findings.push(
    ...checkSweeps(jobs, sweeps),
    ...checkRetention(jobs.filter(isScheduled), env),
    ...checkJobs({ jobs, cronVariable }, now),
  )
  const unchecked: CheckResult['unchecked'] = []
  if (against !== undefined) {
    const place = { databaseUrl: against, schema: ENGINE_SCHEMA }
    const inFlight = await deferSignals(() => checkAgainst(place, jobs))
    findings.push(...inFlight.findings)
    return { jobs: jobs.map(({ name }) => name), findings, unchecked: inFlight.unchecked }
  }
  const reason = withDatabase ? databaseProblem : '--no-database was given'
  if (reason === null) {
    const look = () =>
      withPrisma(env, async (prisma, url) => [
        ...(await checkIndexes(prisma, sweeps)),
        ...(await checkPooler(url)),
        ...(await withReader({ databaseUrl: url, schema: ENGINE_SCHEMA }, (reader) =>
          checkVacuum(reader, now),
        )),
      ])
    findings.push(...(await deferSignals(look)))
  } else {
    unchecked.push({ what: 'indexes for the rows that clean-ups look for', reason })
  }
  return { jobs: jobs.map(({ name }) => name), findings, unchecked }
}

/** What each clean-up sweeps, from the same declarations that its handler works with. */
function declaredSweeps(env: WorkerEnvironment, now: Date): DeclaredSweep[] {
  return Object.entries(createCleanups(env)).map(([job, { sweeps }]) => ({
    job,
    rows: sweeps(now),
  }))
}

/** Opens the database for a check. A database that can't be used is a finding and not an error. */
async function withPrisma(
  env: WorkerEnvironment,
  look: (prisma: PrismaClient, url: string) => Promise<Finding[]>,
): Promise<Finding[]> {
  try {
    const { url, release } = await acquireMigratedDatabase(env, pino({ level: 'silent' }))
    const prisma = createDatabaseClient({
      url,
      applicationName: 'roundsman check',
      poolSize: 1,
      onPoolError: () => undefined,
    })
    try {
      return await look(prisma, url)
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

const DAY_MS = 86_400_000

/** Reports retentions that are too short: a tick that the ledger forgot could run twice. */
export function checkRetention(
  jobs: readonly ScheduledJob[],
  env: Pick<WorkerEnvironment, 'JOB_RUN_RETENTION_DAYS' | 'JOB_RUN_FAILED_RETENTION_DAYS'>,
): Finding[] {
  const { JOB_RUN_RETENTION_DAYS: days, JOB_RUN_FAILED_RETENTION_DAYS: failedDays } = env
  const findings: Finding[] = jobs
    .filter(({ schedule }) => schedule.catchUpMs > days * DAY_MS)
    .map(({ name, schedule }) => ({
      severity: 'error',
      code: 'retention_shorter_than_catch_up',
      job: name,
      problem: `it makes up for ticks of ${describeDuration(schedule.catchUpMs)}, and the ledger forgets them after ${days} days: a tick could run that has had its outcome`,
      remedy: `set JOB_RUN_RETENTION_DAYS to ${Math.ceil(schedule.catchUpMs / DAY_MS)} or more, or lower its catchUpMs`,
    }))
  if (failedDays < days) {
    findings.push({
      severity: 'warning',
      code: 'failed_runs_kept_shorter',
      job: null,
      problem: `failed runs are kept for ${failedDays} days, which is less than the ${days} days of those that succeeded`,
      remedy: `set JOB_RUN_FAILED_RETENTION_DAYS to ${days} or more: what failed is what one looks for`,
    })
  }
  return findings
}

/** Reports jobs whose definition and handler disagree about whether the job removes rows. */
export function checkSweeps(jobs: readonly Job[], sweeps: readonly DeclaredSweep[]): Finding[] {
  const declared = new Set(sweeps.map(({ job }) => job))
  return jobs.flatMap((job): Finding[] => {
    const { name, isDestructive } = job
    // The engine's own jobs come with their indexes.
    if (declared.has(name) === isDestructive || isEngineJob(job)) return []
    if (isDestructive) {
      return [
        {
          severity: 'warning',
          code: 'sweep_undeclared',
          job: name,
          problem:
            'it is destructive, and its handler does not declare which rows it sweeps, so their index could not be checked',
          remedy:
            'make its handler with sweepHandler, and list it in createCleanups (apps/worker/src/jobs/index.ts)',
        },
      ]
    }
    return [
      {
        severity: 'error',
        code: 'sweep_not_destructive',
        job: name,
        problem:
          'its handler sweeps, and its definition does not say that it is destructive, so nobody asks for a guard',
        remedy: 'set isDestructive where it is defined, and give it a guard',
      },
    ]
  })
}
