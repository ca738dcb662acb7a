import { tellCommit } from '@roundsman/testing/readCommit'
import type { Part, PartResult } from './parts.ts'
import type { HostileOptions, HostileResult } from './runHostile.ts'
import type { CellResult } from './runMatrix.ts'

export function hasFailed({ checks }: Pick<HostileResult, 'checks'>): boolean {
  return checks.some(({ isPassed }) => !isPassed)
}

export function repeatHostile({ seed, outcomes, deadly }: HostileOptions): string {
  return `pnpm hostile --seed ${seed} --outcomes ${outcomes} --deadly ${deadly}`
}

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
  const total = (count: (result: HostileResult) => number) =>
    results.reduce((sum, result) => sum + count(result), 0)
  return `# Hostile

Written by \`pnpm hostile\`. With each seed, three worker processes on one PostgreSQL, started again whenever they end, carry out
handlers that end in ${outcomes} drawn ways, and ${deadly} that end their process, with drawn payloads, definitions and observers,
beside innocent work and a schedule by the second. ${isAllHeld ? 'All held.' : '**Something did not hold.**'}
Measured at ${tellCommit(commit)}.

| seed | ran | checks passed | runs that failed | innocent pieces of work | requests refused | worker processes |
|---|---|---|---|---|---|---|
${results.map(renderSummary).join('\n')}

${results.map(renderRun).join('\n')}
## What was drawn, with all seeds

| what handlers did | how often |
|---|---|
${renderCounts(add(results.map(({ kinds }) => kinds)))}

| runs ended with code | runs |
|---|---|
${renderCounts(add(results.map(({ codes }) => codes)), 40)}

${total(({ fleet }) => fleet.started)} worker processes were started.

| log lines of the workers, by level | lines |
|---|---|
${renderCounts(add(results.map(({ fleet }) => fleet.lines)))}

## Hosts and roles

Each cell is a database, a role and a process of its own: a schedule's ticks, work enqueued in a transaction, batches, a failure
and its retry, a cancellation, and the record read back. ${cells.filter(({ problem }) => problem === null).length} of ${cells.length} held.

| host or role | |
|---|---|
${cells.map(({ name, problem }) => `| ${cell(name)} | ${problem === null ? 'held' : `**did not hold**: ${cell(shorten(problem))}`} |`).join('\n')}
`
}

/** The report with this section at its end, or in the place of an earlier one of that part. */
export function putSection(
  report: string,
  { title, about, option }: Part,
  results: readonly (PartResult & { seed: number; count: number })[],
  commit: string | null,
): string {
  const section = `## ${title}

${about}
Measured at ${tellCommit(commit)}.

| seed | \`--${option}\` | | |
|---|---|---|---|
${results.map(({ seed, count, figures, problems }) => `| ${seed} | ${count} | ${figures} | ${problems.length === 0 ? 'held' : `**did not hold**: ${cell(problems.slice(0, 5).join('; '))}`} |`).join('\n')}
`
  const others = report.split(/^(?=## )/m).filter((part) => !part.startsWith(`## ${title}\n`))
  return `${others.join('').trimEnd()}\n\n${section}`
}

function renderSummary({
  options,
  ranAt,
  checks,
  codes,
  innocents,
  refused,
  fleet,
}: HostileResult): string {
  const passed = checks.filter(({ isPassed }) => isPassed).length
  const failed = [...codes.values()].reduce((sum, count) => sum + count, 0)
  return `| ${options.seed} | ${ranAt.toISOString().slice(0, 16)}Z | ${passed} of ${checks.length} | ${failed} | ${innocents} | ${refused} | ${fleet.started} |`
}

function renderRun(result: HostileResult): string {
  const { options, checks, totalMs } = result
  const verdict = hasFailed(result) ? '**Something did not hold.**' : 'All held.'
  return `## Seed ${options.seed}

${verdict} It took ${Math.round(totalMs / 1_000)} s. To repeat it: \`${repeatHostile(options)}\`.

| | guarantee | what holds | figures |
|---|---|---|---|
${checks.map((check) => `| ${check.isPassed ? 'PASS' : '**FAIL**'} | ${check.guarantee} | ${check.name} | ${check.figures} |`).join('\n')}
`
}

function add(counts: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const [what, count] of counts.flatMap((each) => [...each])) {
    sum.set(what, (sum.get(what) ?? 0) + count)
  }
  return sum
}

/** The first sentence only: what follows is log lines, which name paths of this machine. */
function shorten(problem: string): string {
  return (problem.split('; {')[0] ?? '').slice(0, 300)
}

const MAX_ROWS = 25
const MAX_CELL_CHARACTERS = 320

function renderCounts(counts: ReadonlyMap<string, number>, maxCharacters = 60): string {
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one)
  const rows = sorted
    .slice(0, MAX_ROWS)
    .map(([what, count]) => `| ${cell(what.slice(0, maxCharacters))} | ${count} |`)
  const rest = sorted.slice(MAX_ROWS)
  const others = rest.reduce((sum, [, count]) => sum + count, 0)
  if (rest.length > 0) rows.push(`| ${rest.length} others | ${others} |`)
  return rows.join('\n')
}

function cell(text: string): string {
  const shown = JSON.stringify(text).slice(1, -1).replaceAll('|', '\\|')
  return shown.length > MAX_CELL_CHARACTERS ? `${shown.slice(0, MAX_CELL_CHARACTERS)}…` : shown
}
