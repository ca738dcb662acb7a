import { tellCommit } from '@roundsman/testing/readCommit'
import { ms, table, tableOfCounts } from '../markdown.ts'
import { repeatOf } from '../runCommand.ts'
import type { Counts, Finding, FuzzResult } from './runFuzz.ts'

const MAX_SHOWN = 100

/** A page for people about the runs. */
export function renderFuzzReport(results: readonly FuzzResult[], commit: string | null): string {
  return `# Fuzzing the API

Written by \`pnpm fuzz\`: requests drawn from the OpenAPI document that the API serves, valid and broken, from callers who may
ask and from those who may not, sent to a process of its own on a PostgreSQL of its own. A finding is: an answer of 500 or
above, or none within 30 s; a status or a content that is not in the document; an error that is not a problem document; an
answer without the log-in that it needs; an error in the log; a process that ends or grows.
Measured at ${tellCommit(commit)}.

${results.map(renderRun).join('\n')}`
}

function renderRun(result: FuzzResult): string {
  const { options, ranAt, elapsedMs, latency, memory, findings, warnings } = result
  const { warmMb, endMb } = memory
  const list = `\`\`\`text\n${summarizeFindings(findings).join('\n')}\n\`\`\`\n\n`
  return `## Seed ${options.seed}, ${options.worker ? 'with a worker' : 'without a worker'}

${findings.length === 0 ? 'No findings.' : `**${findings.length} findings.**`} ${options.requests} requests in ${(elapsedMs / 1_000).toFixed(1)} s on ${ranAt.toISOString().slice(0, 10)}, half of them answered within
${ms(latency.p50)}, 99 % within ${ms(latency.p99)}, the slowest in ${ms(latency.max)}. ${Number.isNaN(endMb) ? '' : `The API had ${warmMb.toFixed(0)} MiB once it was warm and ${endMb.toFixed(0)} MiB at the end.`}

To repeat it: \`${repeatOf('fuzz', { ...options })}\`. What is asked is drawn from the seed; ids are the server's and differ.

${findings.length === 0 ? '' : list}${renderCounts('route', result.routes)}

${renderCounts('who asks', result.callers)}

${renderCounts('what is broken', result.broken)}

${tableOfCounts(['warning in the log', 'lines'], warnings, 300) || 'No warnings in the log.'}
`
}

/** The first finding of each kind is enough to begin with. */
export function summarizeFindings(findings: readonly Finding[]): string[] {
  const kinds = Map.groupBy(findings, ({ what }) => what)
  return [...kinds].slice(0, MAX_SHOWN).map(([what, same]) => {
    const [first] = same
    return `${what} (${same.length}×, first at request ${first?.number})\n    ${first?.request}`
  })
}

function renderCounts(title: string, counts: Counts): string {
  const all = new Set([...counts.values()].flatMap((inner) => [...inner.keys()]))
  const statuses = [...all].toSorted()
  const rows = [...counts].toSorted(([one], [other]) => one.localeCompare(other))
  return table(
    [title, 'all', ...statuses],
    rows.map(([name, inner]) => {
      const total = inner.values().reduce((sum, count) => sum + count, 0)
      return [name, ...[total, ...statuses.map((status) => inner.get(status) ?? '')].map(String)]
    }),
  )
}
