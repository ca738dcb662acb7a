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
/** This share is too much, and none that is usual is an excuse. */
export const FAILURE_RATE = 0.1
/** A small share is also too much when it is this many times the week's. */
const MORE_THAN_USUAL = 3
const SOME = 5
/**
 * What the week explains is no news: so often would as many fail by luck. A job is judged at least once an hour, and few people
 * want to hear more than once a year of nothing; what was told is over once luck explains it easily.
 */
const HARDLY_LUCK = 0.0001
const LUCK_OF_TOLD = 0.05
/** Of fewer runs the week says nothing. */
const MIN_USUAL = 20

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

/** The job's last run, which failed by itself: how many have in a row, and what share usually does. */
export interface FailedLast {
  inARow: number
  usual: RunShare | null
}

export interface FailureLimits {
  failureRate?: number | undefined
  /** Somebody has been told: then it is over only well below the limits. */
  isTold?: boolean
}

/**
 * Whether so many of a job's runs fail that somebody should look, or did until it recovered; null where neither is so.
 * `recent`: null where none has failed of late. `last`: null where the last run has not failed.
 */
export function judgeFailures(
  recent: JobFailures | null,
  last: FailedLast | null,
  limits: FailureLimits = {},
): 'failing' | 'recovered' | null {
  const { runs, failed } = recent ?? { runs: 0, failed: 0 }
  if (recent === null || runs < FEW_RUNS) {
    if (last === null && failed <= 1) return null
    const usual = last?.usual ?? recent?.usual ?? null
    const inARow = Math.max(1, last?.inARow ?? 0)
    if (usual !== null && usual.runs >= MIN_USUAL) {
      const share = usual.failed / usual.runs
      // Where it seldom runs, those in a row say more than those of the hour.
      if (Math.min(luckOf(failed, runs, share), luckOf(inARow, inARow, share)) > HARDLY_LUCK_OF_FEW)
        return null
    }
  } else if (!areTooMany(recent, limits)) return null
  return last === null && recent !== null && hasRecovered(recent) ? 'recovered' : 'failing'
}

/** Where little runs, people want to know sooner. */
const HARDLY_LUCK_OF_FEW = 0.001

function areTooMany(
  { runs, failed, usual }: JobFailures,
  { failureRate = FAILURE_RATE, isTold = false }: FailureLimits,
): boolean {
  const share = failed / runs
  const often = usual === null ? 0 : usual.failed / usual.runs
  const isMuch = share >= (isTold ? failureRate / 2 : failureRate)
  const isMore = failed >= SOME && usual !== null && share > MORE_THAN_USUAL * often
  if (!isMuch && !isMore) return false
  return often >= failureRate || !isByLuck({ runs, failed }, usual, isTold)
}

/** Whether so many of these runs may well fail by luck where the week's usually do. */
function isByLuck({ runs, failed }: RunShare, usual: RunShare | null, isTold: boolean): boolean {
  // As if one of twenty more had failed: a short week says little.
  const expected = ((usual?.failed ?? 0) + 1) / ((usual?.runs ?? 0) + MIN_USUAL)
  return luckOf(failed, runs, expected) > (isTold ? LUCK_OF_TOLD : HARDLY_LUCK)
}

/** Whether so many of a job's runs expired that somebody should look: one may by chance, and what the week explains is no news. */
export function isMuchExpired(
  { expired, runs, usual }: { expired: number; runs: number; usual: RunShare | null },
  isTold: boolean,
): boolean {
  if (expired <= 1 || expired < runs * (isTold ? FAILURE_RATE / 2 : FAILURE_RATE)) return false
  return (usual?.runs ?? 0) < MIN_USUAL || !isByLuck({ runs, failed: expired }, usual, isTold)
}

/** How likely so many or more of these runs fail where each does with this chance. */
function luckOf(failed: number, runs: number, chance: number): number {
  if (failed === 0 || chance >= 1) return 1
  if (chance <= 0) return 0
  // The logarithm of the chance that exactly `failed` do: the factors alone would be too large, and too small.
  let log = (runs - failed) * Math.log1p(-chance)
  for (let nth = 1; nth <= failed; nth++) log += Math.log((chance * (runs - failed + nth)) / nth)
  let [exactly, sum] = [Math.exp(log), 0]
  for (let count = failed; count <= runs; count++) {
    sum += exactly
    exactly *= ((runs - count) / (count + 1)) * (chance / (1 - chance))
  }
  return Math.min(1, sum)
}

const MIN_IN_A_ROW = 5
/** It is judged again and again, and a job that fails half the time must not seem well now and then. */
const LUCK = 0.001

/** Whether so many runs in a row have succeeded since the last failure that at the rate before it would hardly be luck. */
function hasRecovered({ runs, failed, succeededSince }: JobFailures): boolean {
  const share = failed / (runs - succeededSince)
  return succeededSince >= MIN_IN_A_ROW && (1 - share) ** succeededSince < LUCK
}
