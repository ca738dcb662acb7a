import { cronProblem, type Job } from '@roundsman/engine'
import { keyProblem as findKeyProblem, payloadProblem } from '@roundsman/engine/internal'
import type { Product } from '../command/product.ts'
import type { Finding } from './finding.ts'

/** Finds errors in the definitions, in each one and between their names. */
export function checkDefinitions({
  jobs,
  cronVariable,
}: Pick<Product, 'jobs' | 'cronVariable'>): Finding[] {
  return [
    ...checkNames(jobs, cronVariable),
    ...checkSharedLimits(jobs),
    ...jobs.flatMap(checkDefinition),
  ]
}

function checkSharedLimits(jobs: readonly Job[]): Finding[] {
  const first = new Map<string, { job: string; definition: string }>()
  return jobs.flatMap((job) =>
    job.limits.flatMap((limit): Finding[] => {
      const definition = JSON.stringify([limit.global, limit.rateLimit])
      const known = first.get(limit.name)
      first.set(limit.name, known ?? { job: job.name, definition })
      if (known === undefined || known.definition === definition) return []
      const problem = `it shares the limit ${limit.name} with ${known.job}, which defines it otherwise`
      const remedy = 'define it once by defineLimit, and import it where it is shared'
      return [{ severity: 'error', code: 'limit_differs', job: job.name, problem, remedy }]
    }),
  )
}

function checkNames(jobs: readonly Job[], cronVariable: Product['cronVariable']): Finding[] {
  const findings: Finding[] = []
  const seen = new Map<string, string>()
  for (const { name } of jobs) {
    const variable = cronVariable?.(name) ?? name
    const other = seen.get(variable)
    seen.set(variable, name)
    if (other === undefined) continue
    findings.push({
      severity: 'error',
      code: 'name_taken',
      job: name,
      problem:
        other === name
          ? 'two jobs have this name, so they would share one queue, schedule and ledger'
          : `its cron variable ${variable} is also the one of ${other}`,
      remedy: 'rename one of them',
    })
  }
  return findings
}

function checkDefinition(job: Job): Finding[] {
  const { name, schedule, isDestructive, guard, unguarded } = job
  const findings: Finding[] = []
  const problem = schedule && cronProblem(schedule.cron, schedule.timeZone)
  if (problem) {
    findings.push({
      severity: 'error',
      code: 'schedule_invalid',
      job: name,
      problem,
      remedy: 'correct cron or timeZone where it is defined',
    })
  }
  if (schedule && payloadProblem(job, {}) !== null) {
    findings.push({
      severity: 'error',
      code: 'payload_missing',
      job: name,
      problem: 'it has a schedule but refuses an empty payload, and schedules give no other',
      remedy: 'give every field of its payload a default, or remove its schedule',
    })
  }
  const keyProblem = schedule && findKeyProblem(job, {})
  if (keyProblem) {
    findings.push({
      severity: 'error',
      code: 'key_invalid',
      job: name,
      problem: `it has a schedule, and ${keyProblem} for its empty payload`,
      remedy: 'let partition.key return null where the payload says no key',
    })
  }
  if (isDestructive && guard === null && unguarded === null) {
    findings.push({
      severity: 'error',
      code: 'guard_missing',
      job: name,
      problem:
        'it is destructive and has no guard: a wrong clock or a wrong age would remove everything',
      remedy:
        'give it a guard (maxShare with minRows, or maxRows), or say in unguarded why it needs none',
    })
  }
  return findings
}
