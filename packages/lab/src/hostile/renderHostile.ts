import { tellCommit } from '@roundsman/testing/readCommit'
import { hasFailed, renderChecks, sampleOf, tellPassed } from '../checks.ts'
import { increase, quote, table, tableOfCounts } from '../markdown.ts'
import { repeatOf } from '../runCommand.ts'
import type { DrawnResult, Part } from './parts.ts'
import type { HostileResult } from './runHostile.ts'
import type { CellResult } from './runMatrix.ts'

/** A page for people about the runs: each seed's checks, what was drawn over all seeds, and the hosts and roles. */
export function renderHostile(
  results: readonly HostileResult[],
  cells: readonly CellResult[],
  commit: string | null,
): string {
  const [first] = results
  if (!first) throw new Error('There is nothing to report')
  const { outcomes, deadly } = first.options
  const isAllHeld = !results.some(hasFailed) && cells.every(({ problem }) => problem === null)
  const together = (countsOf: (result: HostileResult) => ReadonlyMap<string, number>) => {
    const sum = new Map<string, number>()
    for (const [what, count] of results.flatMap((each) => [...countsOf(each)]))
      increase(sum, what, count)
    return sum
  }
  return `# Hostile

Written by \`pnpm hostile\`. With each seed, three worker processes on one PostgreSQL, started again whenever they end, carry out
handlers that end in ${outcomes} drawn ways, and ${deadly} that end their process, with drawn payloads, definitions and observers,
beside innocent work and a schedule by the second. ${isAllHeld ? 'All held.' : '**Something did not hold.**'}
Measured at ${tellCommit(commit)}.

${table(
  [
    ...['seed', 'ran', 'checks passed', 'runs that failed'],
    ...['innocent pieces of work', 'requests refused', 'worker processes'],
  ],
  results.map(tellSummary),
)}

${results.map(renderRun).join('\n')}
## What was drawn, with all seeds

${tableOfCounts(
  ['what handlers did', 'how often'],
  together(({ kinds }) => kinds),
)}

${tableOfCounts(
  ['runs ended with code', 'runs'],
  together(({ codes }) => codes),
  40,
)}

${results.reduce((sum, { fleet }) => sum + fleet.started, 0)} worker processes were started.

${tableOfCounts(
  ['log lines of the workers, by level', 'lines'],
  together(({ fleet }) => fleet.lines),
)}

## Hosts and roles

Each cell is a database, a role and a process of its own: a schedule's ticks, work enqueued in a transaction, batches, a failure
and its retry, a cancellation, and the record read back. ${cells.filter(({ problem }) => problem === null).length} of ${cells.length} held.

${table(
  ['host or role', ''],
  cells.map(({ name, problem }) => [
    quote(name),
    // The first sentence only: what follows is log lines, which name paths of this machine.
    tellHeld(problem === null ? [] : [(problem.split('; {')[0] ?? '').slice(0, 300)]),
  ]),
)}
`
}

/** The report with this section at its end, or in the place of an earlier one of that part. */
export function putSection(
  report: string,
  { title, about, option }: Part,
  results: readonly DrawnResult[],
  commit: string | null,
): string {
  const section = `## ${title}

${about}
Measured at ${tellCommit(commit)}.

${table(
  ['seed', `\`--${option}\``, '', ''],
  results.map(({ seed, count, figures, problems }) => [
    String(seed),
    String(count),
    figures,
    tellHeld(problems),
  ]),
)}
`
  const others = report.split(/^(?=## )/m).filter((part) => !part.startsWith(`## ${title}\n`))
  return `${others.join('').trimEnd()}\n\n${section}`
}

function tellHeld(problems: readonly string[]): string {
  return problems.length === 0 ? 'held' : `**did not hold**${quote(sampleOf(problems))}`
}

function tellSummary(result: HostileResult): string[] {
  const { options, ranAt, codes, innocents, refused, fleet } = result
  const failed = [...codes.values()].reduce((sum, count) => sum + count, 0)
  return [
    String(options.seed),
    `${ranAt.toISOString().slice(0, 16)}Z`,
    tellPassed(result),
    ...[failed, innocents, refused, fleet.started].map(String),
  ]
}

function renderRun(result: HostileResult): string {
  const { options, totalMs } = result
  return `## Seed ${options.seed}

${hasFailed(result) ? '**Something did not hold.**' : 'All held.'} It took ${Math.round(totalMs / 1_000)} s. To repeat it: \`${repeatOf('hostile', { ...options })}\`.

${renderChecks(result)}
`
}
