import type { RUN_OUTCOMES } from '../arguments/queries.ts'

export type RunOutcome = (typeof RUN_OUTCOMES)[number]

/** The error codes with which the engine ends such runs. */
const CODES = {
  cancelled: 'cancelled',
  blocked: 'guard_blocked',
  expired: 'expired',
  lost: 'worker_lost',
  givenBack: 'drained',
} as const satisfies Partial<Record<RunOutcome, string>>

/** Start of the message of a run that expired, or was replaced, before its handler began. */
export const NOT_STARTED = 'Not started'
/** Part of the message of an expired run. */
export const NEVER_IN_TIME = 'it was to be started by'

/** Whether the engine ends runs with this code. If a handler throws it, it is stored as `handler_<code>`. */
export function isOutcomeCode(code: string): boolean {
  return (Object.values(CODES) as string[]).includes(code)
}

const OTHERS = Object.entries(CODES)
  .map(([outcome, code]) => `when '${code}' then '${outcome}'`)
  .join(' ')

/** The outcome of a run as an SQL expression. `of` is a prefix of each column, such as `run.`. */
export const outcomeOf = (of = '') =>
  `case when ${of}"status" <> 'failed' then ${of}"status"::text else case ${of}"errorCode" ${OTHERS} else 'failed' end end`

const OTHER_CODES = Object.values(CODES)
  .map((code) => `'${code}'`)
  .join(', ')

/** The code of all runs with this outcome. Null if there are several codes, or none. */
export function codeOfOutcome(outcome: RunOutcome): string | null {
  return outcome in CODES ? CODES[outcome as keyof typeof CODES] : null
}

/** The condition that an ended `run` has this outcome. Literals, so that PostgreSQL can use partial indexes. */
export function hasFailedAs(
  outcome: Exclude<RunOutcome, 'running' | 'success' | 'suspended'>,
): string {
  return outcome === 'failed'
    ? `run."errorCode" is not null and run."errorCode" not in (${OTHER_CODES})`
    : `run."errorCode" = '${CODES[outcome]}'`
}
