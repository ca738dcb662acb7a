import { listRecentFailures, type RunShare } from '@roundsman/engine/internal'
import type { JobsReader } from '@roundsman/engine/client'
import type { ConsoleFailures } from '../contract.ts'
import type { UsualFailures } from './createUsualFailures.ts'

const HOUR_MS = 3_600_000
/** With fewer runs in an hour a share says nothing: then it counts whether the last one failed, or more than one did. */
const FEW_RUNS = 10
const MUCH = 0.1
/** A small share is also too much when it is this many times the week's. */
const MORE_THAN_USUAL = 3
const SOME = 5

/** The jobs of which a run of the last hour failed, those with the most failures first. */
export async function readFailures(
  reader: JobsReader,
  names: readonly string[],
  now: Date,
  usualFailures: UsualFailures,
): Promise<Map<string, ConsoleFailures>> {
  const recent = await listRecentFailures(reader, names, new Date(now.getTime() - HOUR_MS))
  const usual = await usualFailures(
    recent.map(({ name }) => name),
    now,
  )
  return new Map(
    recent.map(({ name, ...row }) => [name, { ...row, usual: usual.get(name) ?? null }]),
  )
}

/** Whether so many of a job's runs fail that somebody should look. */
export function needsLooking(
  { runs, failed, usual }: RunShare & { usual: RunShare | null },
  isLatest: boolean,
): boolean {
  if (runs < FEW_RUNS) return isLatest || failed > 1
  const share = failed / runs
  if (share >= MUCH) return true
  return failed >= SOME && usual !== null && share > MORE_THAN_USUAL * (usual.failed / usual.runs)
}

const MIN_IN_A_ROW = 5
/** The page is looked at again and again, and a job that fails half the time must not seem well now and then. */
const LUCK = 0.001

/** Whether so many runs in a row have succeeded since the last failure that at the rate before it would hardly be luck. */
export function hasRecovered({
  runs,
  failed,
  succeededSince,
}: Pick<ConsoleFailures, 'runs' | 'failed' | 'succeededSince'>): boolean {
  const share = failed / (runs - succeededSince)
  return succeededSince >= MIN_IN_A_ROW && (1 - share) ** succeededSince < LUCK
}
