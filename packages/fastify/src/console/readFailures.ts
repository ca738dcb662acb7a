import { listRecentFailures, type Reader, type RunShare } from '@roundsman/engine/client'
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
  reader: Reader,
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
