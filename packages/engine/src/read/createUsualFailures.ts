import { sampleFailures, type RunShare } from './failureRates.ts'
import type { JobsReader } from './reader.ts'

/**
 * What share of a job's runs usually fails, keyed by its name: over a week, until about an hour ago. Jobs without runs are
 * missing.
 */
export type UsualFailures = (
  reader: JobsReader,
  names: readonly string[],
  now: Date,
) => Promise<Map<string, RunShare>>

const HOUR_MS = 3_600_000
const HOURS = 7 * 24
/** Workers' clocks disagree, and a start is committed a little later. */
const SETTLE_MS = 10 * 60_000

/**
 * Samples each hour of the week once, since nearly all that started in an hour that is over has ended. So a job with a
 * million runs a week costs no more than one with some thousand.
 */
export function createUsualFailures(): UsualFailures {
  /** Keyed by the job's name, then by the hour's beginning. */
  const sampled = new Map<string, Map<number, RunShare>>()

  return async (reader, names, now) => {
    const end = Math.floor((now.getTime() - SETTLE_MS) / HOUR_MS) * HOUR_MS
    const hours = Array.from({ length: HOURS }, (_, index) => end - (HOURS - index) * HOUR_MS)
    const missing = names.flatMap((name) => {
      const known = sampled.get(name)
      return hours.filter((hour) => !known?.has(hour)).map((hour) => ({ name, hour }))
    })
    if (missing.length > 0) {
      const pairs = missing.map(({ name, hour }) => ({ name, hour: new Date(hour) }))
      const rows = await sampleFailures(reader, pairs)
      for (const { name, hour } of missing) of(name).set(hour, { runs: 0, failed: 0 })
      for (const { name, hour, runs, failed } of rows)
        of(name).set(Date.parse(hour), { runs, failed })
    }
    const shares = names.map((name) => {
      const known = of(name)
      for (const hour of known.keys()) if (hour < (hours[0] ?? 0)) known.delete(hour)
      const sum = { runs: 0, failed: 0 }
      for (const hour of hours) {
        sum.runs += known.get(hour)?.runs ?? 0
        sum.failed += known.get(hour)?.failed ?? 0
      }
      return [name, sum] as const
    })
    return new Map(shares.filter(([, { runs }]) => runs > 0))
  }

  function of(name: string): Map<number, RunShare> {
    const known = sampled.get(name) ?? new Map<number, RunShare>()
    sampled.set(name, known)
    return known
  }
}
