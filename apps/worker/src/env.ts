import { alertVariables } from '@roundsman/alerts'
import {
  commonVariables,
  databaseRequiredInProduction,
  integerVariable,
  readEnvironment,
  switchVariable,
  telemetryVariables,
} from '@roundsman/node-app'
import { dispatchEmail, jobs as catalogue } from '@roundsman/jobs'
import {
  cronProblem,
  isScheduled,
  nearest,
  nextTick,
  reschedule,
  type Job,
} from '@roundsman/engine'
import { z } from 'zod'
import { cronVariable, jobVariable } from './cronVariable.ts'
import { parseMailbox } from './email/parseMailbox.ts'
import { parseSmtpUrl } from './email/parseSmtpUrl.ts'
import { readSeller, sellerVariables } from './seller.ts'

/** An address of this machine by its name (RFC 6761): it claims nobody else's domain, and a real server refuses it. */
const DEFAULT_FROM = 'no-reply@roundsman.localhost'

/** Which server takes our mail, from whom it is, and how many messages a second the server bears. */
const mailVariables = {
  SMTP_URL: z
    .string()
    .optional()
    .refine((text) => text === undefined || parseSmtpUrl(text) !== null, {
      // The message leaves the value out: it may hold a password.
      error:
        "is not a mail server's URL; set smtp://user:password@host:587 or smtps://user:password@host:465, or leave it out and mail waits",
    }),
  MAIL_FROM: z
    .string()
    .default(DEFAULT_FROM)
    .transform((text, context) => {
      const mailbox = parseMailbox(text)
      if (mailbox) return mailbox
      context.addIssue(
        `${JSON.stringify(text)} is not an e-mail address; set one such as billing@example.com or Example <billing@example.com>`,
      )
      return z.NEVER
    }),
  SMTP_MAX_PER_SECOND: integerVariable({ min: 1, max: 1_000, default: 10 }),
}

const pingVariable = (jobName: string) => jobVariable(jobName, 'PING_URL')

const pingUrl = z
  .string()
  .optional()
  .refine((text) => text === undefined || isPingUrl(text), {
    // The message leaves the value out: whoever knows it can report that all is well.
    error:
      'is not an address for pings; set one such as https://hc.example.com/ping/<id>, without a user and a password in it, or leave it out',
  })

/** A variable for each job: the address to tell when its runs start and end, such as CLEANUP_I18N_CACHE_PING_URL. */
const pingVariables = Object.fromEntries(catalogue.map(({ name }) => [pingVariable(name), pingUrl]))

export type WorkerEnvironment = ReturnType<typeof readWorkerEnvironment>

const scheduled = (catalogue as readonly Job[]).filter(isScheduled)

type JobName = (typeof catalogue)[number]['name']
const jobNames = catalogue.map(({ name }): string => name)

const variables = {
  ...commonVariables,
  ...telemetryVariables,
  ...alertVariables,
  /** A supervisor sets it that holds our standard input open. The worker stops when that input ends. */
  ROUNDSMAN_SUPERVISED: switchVariable({ default: false }),
  /** A supervisor sets it that tells us on standard input when to begin: see awaitRelease. */
  ROUNDSMAN_HELD: switchVariable({ default: false }),
  /** `pnpm start` and `pnpm dev` set it: the demo's jobs run if the database has them. Ignored in production. */
  ROUNDSMAN_DEMO: switchVariable({ default: false }),
  HOST: z.string().optional(),
  WORKER_PORT: integerVariable({ min: 0, max: 65_535, default: 3001 }),
  JOBS_ENABLED: switchVariable({ default: true }),
  /**
   * The jobs whose work this worker takes, by name, separated by commas. It decides the ticks of all jobs in any case.
   */
  WORKER_JOBS: z
    .string()
    .optional()
    .transform((text, context) => {
      const names = text?.split(',').flatMap((name) => name.trim() || [])
      const unknown = names?.length === 0 ? '' : names?.find((name) => !jobNames.includes(name))
      if (unknown === undefined) return names as JobName[] | undefined
      const meant = nearest(unknown, jobNames)
      context.addIssue(
        `there is no job ${JSON.stringify(unknown)}; ${meant === null ? `name some of ${jobNames.join(', ')}` : `did you mean ${meant}?`}`,
      )
      return z.NEVER
    }),
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
 * Reads the worker's variables, and adjusts the jobs by them: each schedule by its cron variable, mail by its rate
 * limit.
 * @throws EnvironmentError that names every variable in need of attention
 */
export function readWorkerEnvironment(source: NodeJS.ProcessEnv = process.env) {
  const env = readEnvironment(variables, source, {
    requiredInProduction: databaseRequiredInProduction,
  })
  const { NODE_ENV, HOST = NODE_ENV === 'production' ? '0.0.0.0' : '127.0.0.1' } = env
  const seller = readSeller(env, NODE_ENV === 'production')
  const retention = {
    runDays: env.JOB_RUN_RETENTION_DAYS,
    failedDays: env.JOB_RUN_FAILED_RETENTION_DAYS,
    actionDays: env.JOB_ACTION_RETENTION_DAYS,
  }
  return {
    ...env,
    ROUNDSMAN_DEMO: env.ROUNDSMAN_DEMO && NODE_ENV !== 'production',
    HOST,
    seller,
    retention,
    jobs: adjustJobs(catalogue, env, source),
    pingUrls: readPingUrls(env),
  }
}

/** Gives each schedule the expression of its cron variable, and mail the rate of SMTP_MAX_PER_SECOND. */
function adjustJobs<const Jobs extends readonly Job[]>(
  jobs: Jobs,
  env: Record<string, unknown> & { SMTP_MAX_PER_SECOND: number },
  source: NodeJS.ProcessEnv,
): Jobs {
  const adjust = (job: Job): Job => {
    if (job.name === dispatchEmail.name) {
      return { ...job, rateLimit: { limit: env.SMTP_MAX_PER_SECOND, perMs: 1_000 } }
    }
    if (!isScheduled(job)) return job
    const variable = cronVariable(job.name)
    return reschedule(job, env[variable] as string, source[variable] ? variable : undefined)
  }
  return jobs.map(adjust) as readonly Job[] as Jobs
}

/** The schema of a cron variable; an expression that the job's zone can't have is refused with the remedy. */
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

/** The ping URLs that are set, by job name. */
function readPingUrls(env: Readonly<Record<string, unknown>>): Map<string, URL> {
  return new Map(
    catalogue.flatMap(({ name }) => {
      const text = env[pingVariable(name)]
      return typeof text === 'string' ? [[name, new URL(text)] as const] : []
    }),
  )
}

function isPingUrl(text: string): boolean {
  const url = URL.parse(text)
  // fetch refuses an address with credentials.
  return url !== null && /^https?:$/.test(url.protocol) && url.username + url.password === ''
}

/** When each scheduled job is due next; none while jobs are disabled. */
export function nextRuns(
  env: Pick<WorkerEnvironment, 'jobs' | 'JOBS_ENABLED'>,
  now: Date,
): { name: string; nextRun: Date | null }[] {
  return (env.jobs as readonly Job[]).filter(isScheduled).map(({ name, schedule }) => ({
    name,
    nextRun: env.JOBS_ENABLED ? nextTick(schedule, now) : null,
  }))
}
