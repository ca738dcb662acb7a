export const SEVERITIES = ['error', 'warning', 'note'] as const
/**
 * `error`: it will not work, or it deletes rows that it should not. `warning`: it works, but not as expected. `note`: worth
 * knowing, and often intended.
 */
export type Severity = (typeof SEVERITIES)[number]

export interface Finding {
  severity: Severity
  /** For scripts: the same for every finding of a kind. */
  code: string
  /** Null if the finding concerns no single job. */
  job: string | null
  problem: string
  remedy: string
}

export interface CheckResult {
  jobs: string[]
  findings: Finding[]
  /** The skipped checks, with the reasons. */
  unchecked: { what: string; reason: string }[]
}
