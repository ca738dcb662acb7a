export const SEVERITIES = ['error', 'warning', 'note'] as const
/**
 * `error`: it will not work, or takes away what it should not. `warning`: it works, and not as one would expect.
 * `note`: worth knowing, and often as it is wanted.
 */
export type Severity = (typeof SEVERITIES)[number]

export interface Finding {
  severity: Severity
  /** The same for the same kind of finding, for scripts. */
  code: string
  /** Null: it is about no job in particular. */
  job: string | null
  problem: string
  remedy: string
}

export interface CheckResult {
  jobs: string[]
  findings: Finding[]
  /** What could not be looked at, and why. */
  unchecked: { what: string; reason: string }[]
}
