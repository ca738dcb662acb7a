import { print } from './runCommand.ts'
import { table } from './markdown.ts'

/** Whether something held that was to be broken. */
export interface CheckResult {
  guarantee: string
  /** What holds, in words. */
  name: string
  isPassed: boolean
  figures: string
}

interface Checked {
  checks: readonly CheckResult[]
}

export function hasFailed({ checks }: Checked): boolean {
  return checks.some(({ isPassed }) => !isPassed)
}

/** How many of a run's checks have passed, for a report. */
export function tellPassed({ checks }: Checked): string {
  return `${checks.filter(({ isPassed }) => isPassed).length} of ${checks.length}`
}

export function printChecks({ checks }: Checked): void {
  for (const { name, isPassed, figures } of checks) {
    print(`${isPassed ? 'PASS' : 'FAIL'}  ${name}: ${figures}`)
  }
}

export function renderChecks({ checks }: Checked): string {
  return table(
    ['', 'guarantee', 'what holds', 'figures'],
    checks.map(({ guarantee, name, isPassed, figures }) => [
      isPassed ? 'PASS' : '**FAIL**',
      guarantee,
      name,
      figures,
    ]),
  )
}
