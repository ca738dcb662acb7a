import { wrap, type Layout, type Style } from '../command/layout.ts'
import { SEVERITIES, type CheckResult, type Finding, type Severity } from './finding.ts'

const STYLES: Record<Severity, Style> = { error: 'red', warning: 'yellow', note: 'dim' }

/** Formats findings for people: the worst first, and a summary at the end. */
export function formatFindings(result: CheckResult, layout: Layout): string {
  const { jobs, findings, unchecked } = result
  const blocks = SEVERITIES.flatMap((severity) =>
    findings
      .filter((finding) => finding.severity === severity)
      .map((finding) => formatFinding(finding, layout)),
  )
  const counts = countFindings(findings)
  const told = SEVERITIES.filter((severity) => counts[severity] > 0).map(
    (severity) => `${counts[severity]} ${severity}${counts[severity] === 1 ? '' : 's'}`,
  )
  const checked = `${jobs.length} jobs checked: ${told.join(', ') || 'nothing found'}.`
  const summary = [
    layout.paint(counts.error > 0 ? 'red' : counts.warning > 0 ? 'yellow' : 'green', checked),
    ...unchecked.map(({ what, reason }) =>
      layout.paint('yellow', wrap(`Not checked: ${what}, since ${reason}.`, layout.width)),
    ),
  ].join('\n')
  return [...blocks, summary].join('\n\n')
}

function formatFinding(finding: Finding, { width, paint }: Layout): string {
  const { severity, job, code, problem, remedy } = finding
  return [
    `${paint(STYLES[severity], severity)}  ${paint('bold', job ?? 'environment')}  ${paint('dim', code)}`,
    `  ${wrap(problem, width - 2, 2)}`,
    `  ${wrap(`Remedy: ${remedy}`, width - 2, 2)}`,
  ].join('\n')
}

export function countFindings(findings: readonly Finding[]): Record<Severity, number> {
  const counts = { error: 0, warning: 0, note: 0 }
  for (const { severity } of findings) counts[severity] += 1
  return counts
}
