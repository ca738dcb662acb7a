import type { ConsoleFailures } from '@roundsman/admin/contract'
import { formatRoughDuration } from '../../time/formatDuration.ts'

const HOUR_MS = 3_600_000

/** Says `14 of 27 failed in 1 h`; of the latest runs alone if there are too many to count. */
export function describeFailures(
  { runs, failed, from, isCut }: ConsoleFailures,
  now: number,
): string {
  const spanMs = isCut ? Math.max(1_000, now - Date.parse(from)) : HOUR_MS
  const count = (value: number) => value.toLocaleString('en')
  return `${count(failed)} of ${count(runs)} failed in ${formatRoughDuration(spanMs)}`
}

/** The share of failed runs in whole per cent; never 0 or 100 % if that is not exact. */
export function formatShare({ runs, failed }: { runs: number; failed: number }): string {
  const percent = runs === 0 ? 0 : (failed / runs) * 100
  if (percent > 0 && percent < 1) return '< 1 %'
  if (percent < 100 && percent > 99) return '> 99 %'
  return `${Math.round(percent)} %`
}
