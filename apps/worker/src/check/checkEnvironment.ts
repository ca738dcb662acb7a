import { EnvironmentError } from '@roundsman/node-app'
import { jobs as catalogue } from '@roundsman/jobs'
import { isScheduled, type Job } from '@roundsman/engine'
import { cronVariable } from '../cronVariable.ts'
import { readWorkerEnvironment, type WorkerEnvironment } from '../env.ts'
import type { Finding } from 'roundsman/commands'

export interface CheckedEnvironment {
  /** The environment with defaults in place of wrong values, so that everything else can be checked. */
  env: WorkerEnvironment
  findings: Finding[]
  /** Why the checks must not open its database; null when they may. */
  databaseProblem: string | null
}

/** Reads the worker's variables, and reports all that are wrong instead of stopping at them. */
export function checkEnvironment(source: NodeJS.ProcessEnv): CheckedEnvironment {
  const unknown = findUnknownCronVariables(source)
  try {
    return { env: readWorkerEnvironment(source), findings: unknown, databaseProblem: null }
  } catch (error) {
    if (!(error instanceof EnvironmentError)) throw error
    const wrong = error.problems.map((problem) => problem.slice(0, problem.indexOf(':')))
    // NODE_ENV is left out because production requires variables that may be among the wrong ones.
    const rest = Object.entries(source).filter(
      ([name]) => !wrong.includes(name) && name !== 'NODE_ENV',
    )
    return {
      env: readWorkerEnvironment(Object.fromEntries(rest)),
      findings: [...error.problems.map(toFinding), ...unknown],
      databaseProblem: wrong.includes('DATABASE_URL') ? 'DATABASE_URL is wrong' : null,
    }
  }
}

/**
 * Turns a message such as `NAME: what is wrong; the remedy` into a finding, with the job that the variable is about.
 */
function toFinding(problem: string): Finding {
  const name = problem.slice(0, problem.indexOf(':'))
  const job = jobOf(name)
  const [what = problem, ...remedy] = problem.split('; ')
  return {
    severity: 'error',
    code: job === null ? 'variable_invalid' : 'cron_variable_invalid',
    job,
    problem: what,
    remedy: remedy.join('; ') || `correct ${name}, or leave it out`,
  }
}

/** The job whose schedule this variable overrides; null when it is no such variable. */
function jobOf(variable: string): string | null {
  return names().find((name) => cronVariable(name) === variable) ?? null
}

/**
 * Finds variables that look like a schedule's and that nothing reads: most likely a misspelt name, so that the schedule
 * is not what somebody believes.
 */
function findUnknownCronVariables(source: NodeJS.ProcessEnv): Finding[] {
  const known = names().map(cronVariable)
  return Object.entries(source)
    .filter(([name, value]) => name.endsWith('_CRON') && value && !known.includes(name))
    .map(([name]) => ({
      severity: 'warning',
      code: 'cron_variable_unknown',
      job: null,
      problem: `${name} is set, and no scheduled job reads it`,
      remedy: `unset it, or correct its name: ${known.join(', ')}`,
    }))
}

function names(): string[] {
  return (catalogue as readonly Job[]).filter(isScheduled).map(({ name }) => name)
}
