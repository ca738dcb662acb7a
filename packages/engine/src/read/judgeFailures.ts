import type { UsualFailures } from './createUsualFailures.ts'
import { listRecentFailures, type RecentFailures, type RunShare } from './failureRates.ts'
import type { JobsReader } from './reader.ts'

/** How many of a job's latest runs failed. */
export interface JobFailures extends Omit<RecentFailures, 'name'> {
  /** A sample of the job's week, until about an hour ago; null when it had no runs. */
  usual: RunShare | null
}

/** With fewer runs a share says nothing: then it counts whether the last one failed, or more than one did. */
const FEW_RUNS = 10
/** This share is too much, whatever is usual. */
export const FAILURE_RATE = 0.1
/** A small share is also too much when it is this many times the week's. */
const MORE_THAN_USUAL = 3
const SOME = 5

/** The jobs of which a run failed that started since an instant, those with the most failures first. */
export async function readFailures(
  reader: JobsReader,
  names: readonly string[],
  since: Date,
  now: Date,
  usualFailures: UsualFailures,
): Promise<Map<string, JobFailures>> {
  const recent = await listRecentFailures(reader, names, since)
  const usual = await usualFailures(
    reader,
    recent.map(({ name }) => name),
    now,
  )
  return new Map(
    recent.map(({ name, ...row }) => [name, { ...row, usual: usual.get(name) ?? null }]),
  )
}

/**
 * Whether so many of a job's runs fail that somebody should look, or did until it recovered; null where neither is so.
 * `recent`: null where none has failed of late.
 */
export function judgeFailures(
  recent: JobFailures | null,
  hasFailedLast: boolean,
  failureRate = FAILURE_RATE,
): 'failing' | 'recovered' | null {
  if (recent === null) return hasFailedLast ? 'failing' : null
  if (!areTooMany(recent, hasFailedLast, failureRate)) return null
  return !hasFailedLast && hasRecovered(recent) ? 'recovered' : 'failing'
}

function areTooMany(
  { runs, failed, usual }: JobFailures,
  hasFailedLast: boolean,
  failureRate: number,
): boolean {
  if (runs < FEW_RUNS) return hasFailedLast || failed > 1
  const share = failed / runs
  if (share >= failureRate) return true
  return failed >= SOME && usual !== null && share > MORE_THAN_USUAL * (usual.failed / usual.runs)
}

const MIN_IN_A_ROW = 5
/** It is judged again and again, and a job that fails half the time must not seem well now and then. */
const LUCK = 0.001

/** Whether so many runs in a row have succeeded since the last failure that at the rate before it would hardly be luck. */
function hasRecovered({ runs, failed, succeededSince }: JobFailures): boolean {
  const share = failed / (runs - succeededSince)
  return succeededSince >= MIN_IN_A_ROW && (1 - share) ** succeededSince < LUCK
}
