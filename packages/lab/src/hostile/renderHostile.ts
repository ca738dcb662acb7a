import type { HostileOptions, HostileResult } from './runHostile.ts'
import type { CellResult } from './runMatrix.ts'

export function hasFailed({ checks }: Pick<HostileResult, 'checks'>): boolean {
  return checks.some(({ isPassed }) => !isPassed)
}

export function repeatHostile({ seed, outcomes, deadly }: HostileOptions): string {
  return `pnpm hostile --seed ${seed} --outcomes ${outcomes} --deadly ${deadly}`
}

/** A run as a page for people. */
export function renderHostile(result: HostileResult, cells: readonly CellResult[]): string {
  const { options, checks, kinds, codes, fleet, innocents, refused } = result
  const isAllHeld = !hasFailed(result) && cells.every(({ problem }) => problem === null)
  const verdict = isAllHeld ? 'All held.' : '**Something did not hold.**'
  return `# Hostile

Written by \`pnpm hostile\` at ${result.ranAt.toISOString().slice(0, 16)}Z. Two worker processes on one PostgreSQL, started again
whenever they end, carry out handlers that end in ${options.outcomes} drawn ways, and ${options.deadly} that end their process, with drawn
payloads, definitions and observers, beside ${innocents} pieces of innocent work and a schedule by the second. ${refused} requests
were refused when they were made.

${verdict} It took ${Math.round(result.totalMs / 1_000)} s in all. To repeat it: \`${repeatHostile(options)}\`.

| | guarantee | what holds | figures |
|---|---|---|---|
${checks.map((check) => `| ${check.isPassed ? 'PASS' : '**FAIL**'} | ${check.guarantee} | ${check.name} | ${check.figures} |`).join('\n')}

| what handlers did | how often |
|---|---|
${renderCounts(kinds)}

| runs ended with code | runs |
|---|---|
${renderCounts(new Map([...codes].map(([code, count]) => [code.slice(0, 40), count])))}

${fleet.started} worker processes were started.

| log lines of the workers, by level | lines |
|---|---|
${renderCounts(fleet.lines)}

## Hosts and roles

Each cell is a database, a role and a process of its own: a schedule's ticks, work enqueued in a transaction, batches, a failure
and its retry, a cancellation, and the record read back. ${cells.filter(({ problem }) => problem === null).length} of ${cells.length} held.

| host or role | |
|---|---|
${cells.map(({ name, problem }) => `| ${cell(name)} | ${problem === null ? 'held' : `**did not hold**: ${cell(shorten(problem))}`} |`).join('\n')}
`
}

/** Its first sentence: what a cell's processes logged after it names places on this machine. */
function shorten(problem: string): string {
  return (problem.split('; {')[0] ?? '').slice(0, 300)
}

const MAX_ROWS = 25
const MAX_CELL_CHARACTERS = 320

function renderCounts(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].toSorted(([, one], [, other]) => other - one)
  const rows = sorted
    .slice(0, MAX_ROWS)
    .map(([what, count]) => `| ${cell(what.slice(0, 60))} | ${count} |`)
  const rest = sorted.slice(MAX_ROWS)
  const others = rest.reduce((sum, [, count]) => sum + count, 0)
  if (rest.length > 0) rows.push(`| ${rest.length} others | ${others} |`)
  return rows.join('\n')
}

function cell(text: string): string {
  const shown = JSON.stringify(text).slice(1, -1).replaceAll('|', '\\|')
  return shown.length > MAX_CELL_CHARACTERS ? `${shown.slice(0, MAX_CELL_CHARACTERS)}…` : shown
}
