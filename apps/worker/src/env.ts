import {
  commonVariables,
  databaseRequiredInProduction,
  integerVariable,
  readEnvironment,
  switchVariable,
  telemetryVariables,
} from '@roundsman/node-app'
import { dispatchEmail, jobs as catalogue } from '@roundsman/jobs'
import { cronProblem, isScheduled, reschedule, type Job } from '@roundsman/engine'
import { z } from 'zod'
import { cronVariable } from './cronVariable.ts'
import { mailVariables } from './mailVariables.ts'
import { pingVariables, readPingUrls } from './pings/pingVariables.ts'
import { readSeller, sellerVariables } from './seller.ts'

export type WorkerEnvironment = ReturnType<typeof readWorkerEnvironment>

const scheduled = (catalogue as readonly Job[]).filter(isScheduled)

const variables = {
  ...commonVariables,
  ...telemetryVariables,
  /** Set by a supervisor that holds this process's standard input open for as long as it lives. */
  ROUNDSMAN_SUPERVISED: switchVariable({ default: false }),
  /** Set by a supervisor that says on standard input when we may begin: see awaitRelease. */
  ROUNDSMAN_HELD: switchVariable({ default: false }),
  HOST: z.string().optional(),
  WORKER_PORT: integerVariable({ min: 0, max: 65_535, default: 3001 }),
  JOBS_ENABLED: switchVariable({ default: true }),
  WORKER_CONCURRENCY: integerVariable({ min: 1, max: 1_000, default: 10 }),
  DRAIN_TIMEOUT_MS: integerVariable({ min: 0, max: 3_600_000, default: 25_000, unit: 'ms' }),
  I18N_CACHE_MAX_AGE_DAYS: integerVariable({ min: 1, max: 3_650, default: 30, unit: 'days' }),
  JOB_RUN_RETENTION_DAYS: integerVariable({ min: 1, max: 3_650, default: 30, unit: 'days' }),
  JOB_RUN_FAILED_RETENTION_DAYS: integerVariable({
    min: 1,
    max: 3_650,
    default: 90,
    unit: 'days',
  }),
  JOB_ACTION_RETENTION_DAYS: integerVariable({ min: 1, max: 3_650, default: 365, unit: 'days' }),
  ...sellerVariables,
  ...mailVariables,
  ...pingVariables,
  ...Object.fromEntries(
    scheduled.map(({ name, schedule }) => [
      cronVariable(name),
      cronExpression(schedule.cron, schedule.timeZone),
    ]),
  ),
}

/**
 * The worker's variables, and the catalogue as they adjust it: each scheduled job has a cron variable,
 * CLEANUP_PREVIEW_SESSIONS_CRON for cleanupPreviewSessions, and mail has its limit.
 * @throws EnvironmentError naming every variable that needs attention
 */
export function readWorkerEnvironment(source: NodeJS.ProcessEnv = process.env) {
  const env = readEnvironment(variables, source, {
    requiredInProduction: databaseRequiredInProduction,
  })
  const { NODE_ENV, HOST = NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1' } = env
  const seller = readSeller(env, NODE_ENV === 'production')
  return { ...env, HOST, seller, jobs: adjustJobs(catalogue, env), pingUrls: readPingUrls(env) }
}

function adjustJobs<const Jobs extends readonly Job[]>(
  jobs: Jobs,
  env: Record<string, unknown> & { SMTP_MAX_PER_SECOND: number },
): Jobs {
  const adjust = (job: Job): Job => {
    if (job.name === dispatchEmail.name) {
      return { ...job, rateLimit: { limit: env.SMTP_MAX_PER_SECOND, perMs: 1_000 } }
    }
    return isScheduled(job) ? reschedule(job, env[cronVariable(job.name)] as string) : job
  }
  return jobs.map(adjust) as readonly Job[] as Jobs
}

function cronExpression(defaultCron: string, timeZone: string) {
  return z
    .string()
    .default(defaultCron)
    .superRefine((cron, context) => {
      const problem = cronProblem(cron, timeZone)
      if (problem)
        context.addIssue(
          `${problem}; set one such as "*/15 * * * *", or leave it out for "${defaultCron}"`,
        )
    })
}

/** All of them, for who looks at what is set and not read. */
export function environmentVariables(): NodeJS.ProcessEnv {
  return process.env
}
