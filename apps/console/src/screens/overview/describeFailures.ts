import type { ConsoleFailures } from '@roundsman/fastify/contract'
import { formatRoughDuration } from '../../time/formatDuration.ts'

const HOUR_MS = 3_600_000

/** `14 of 27 failed in 1 h`; of the latest runs alone where there are too many to be counted. */
export function describeFailures(
  { runs, failed, from, isCut }: ConsoleFailures,
  now: number,
): string {
  const spanMs = isCut ? Math.max(1_000, now - Date.parse(from)) : HOUR_MS
  const count = (value: number) => value.toLocaleString('en')
  return `${count(failed)} of ${count(runs)} failed in ${formatRoughDuration(spanMs)}`
}

/** `usually 2 %`, or nothing where there is no week to compare with. */
export function describeUsual(usual: { runs: number; failed: number } | null): string | null {
  if (usual === null) return null
  return usual.failed === 0 ? 'usually none' : `usually ${formatShare(usual)}`
}

export function formatShare({ runs, failed }: { runs: number; failed: number }): string {
  const percent = runs === 0 ? 0 : (failed / runs) * 100
  if (percent > 0 && percent < 1) return '< 1 %'
  if (percent < 100 && percent > 99) return '> 99 %'
  return `${Math.round(percent)} %`
}
