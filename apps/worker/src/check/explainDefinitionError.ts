import type { Finding } from './finding.ts'

/** What `defineJob` has refused, or null when the error is of another kind. */
export function explainDefinitionError(error: unknown): Finding | null {
  if (!(error instanceof TypeError)) return null
  const [, job, problem] = /^Job "([^"]*)": (.+)$/.exec(error.message) ?? []
  if (job === undefined || problem === undefined) return null
  return {
    severity: 'error',
    code: 'definition_invalid',
    job,
    problem,
    remedy: 'correct it where the job is defined; nothing else could be checked until then',
  }
}
