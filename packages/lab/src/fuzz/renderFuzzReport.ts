import { tellCommit } from '@roundsman/testing/readCommit'
import type { Finding, FuzzResult } from './runFuzz.ts'

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
  const { seed, requests, hasWorker } = options
  const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MiB`
  return `## Seed ${seed}, ${hasWorker ? 'with a worker' : 'without a worker'}

${findings.length === 0 ? 'No findings.' : `**${findings.length} findings.**`} ${requests} requests in ${(elapsedMs / 1_000).toFixed(1)} s on ${ranAt.toISOString().slice(0, 10)}, half of them answered within
${latency.p50Ms.toFixed(1)} ms, 99 % within ${latency.p99Ms.toFixed(0)} ms, the slowest in ${latency.maxMs.toFixed(0)} ms. ${memory ? `The API had ${megabytes(memory.warmBytes)} once it was warm and ${megabytes(memory.endBytes)} at the end.` : ''}

To repeat it: \`${repeatFuzz(result)}\`. What is asked is drawn from the seed; ids are the server's and differ.

${renderFindings(findings)}${renderTable('route', result.routes)}

${renderTable('who asks', result.callers)}

${renderTable('what is broken', result.broken)}

${renderWarnings(warnings)}
`
}

function renderWarnings(warnings: FuzzResult['warnings']): string {
  if (warnings.size === 0) return 'No warnings in the log.'
  const rows = [...warnings].map(([message, count]) => `| ${message} | ${count} |`)
  return ['| warning in the log | lines |', '|---|---|', ...rows].join('\n')
}

export function repeatFuzz({ options }: Pick<FuzzResult, 'options'>): string {
  const { seed, requests, hasWorker } = options
  return `pnpm fuzz --seed ${seed} --requests ${requests}${hasWorker ? ' --worker' : ''}`
}

/** The first finding of each kind is enough to begin with. */
export function summarizeFindings(findings: readonly Finding[]): string[] {
  const kinds = Map.groupBy(findings, ({ what }) => what)
  return [...kinds].slice(0, MAX_SHOWN).map(([what, same]) => {
    const [first] = same
    return `${what} (${same.length}×, first at request ${first?.number})\n    ${first?.request}`
  })
}

function renderFindings(findings: readonly Finding[]): string {
  if (findings.length === 0) return ''
  return `\`\`\`text\n${summarizeFindings(findings).join('\n')}\n\`\`\`\n\n`
}

function renderTable<Key extends string>(
  title: string,
  counts: ReadonlyMap<Key, ReadonlyMap<string, number>>,
): string {
  const statuses = [
    ...new Set([...counts.values()].flatMap((inner) => [...inner.keys()])),
  ].toSorted()
  const rows = [...counts].toSorted(([one], [other]) => one.localeCompare(other))
  const total = (inner: ReadonlyMap<string, number>) =>
    [...inner.values()].reduce((sum, count) => sum + count, 0)
  return `| ${title} | all | ${statuses.join(' | ')} |
|---|${'---|'.repeat(statuses.length + 1)}
${rows
  .map(
    ([name, inner]) =>
      `| ${name} | ${total(inner)} | ${statuses.map((status) => inner.get(status) ?? '').join(' | ')} |`,
  )
  .join('\n')}`
}
