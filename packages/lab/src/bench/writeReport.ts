import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tellCommit } from '@roundsman/testing/readCommit'
import { drawPlot } from './drawPlot.ts'
import { formatNumber, range, table } from '../markdown.ts'
import { readResults, removePlots, type StoredResult } from './results.ts'
import type { Scenario, Target } from './scenario.ts'
import { median, type Summary } from '../statistics.ts'

/** Where the report is. Its figures and drawings are in a folder beside it. */
export interface ReportPlace {
  folder: string
  report: string
  figures: string
}

export function reportPlace(folder: string): ReportPlace {
  return { folder, report: join(folder, 'bench.md'), figures: join(folder, 'bench') }
}

/** Writes the report from everything that was ever measured and kept. Returns how many targets are missed. */
export async function writeReport(
  scenarios: readonly Scenario[],
  { folder, report, figures }: ReportPlace,
): Promise<{ missed: number }> {
  const results = await readResults(
    figures,
    scenarios.map(({ name }) => name),
  )
  await mkdir(figures, { recursive: true })
  await removePlots(figures)
  const targets: [Scenario, Target][] = []
  const sections: string[] = []
  const missing: string[] = []
  for (const scenario of scenarios) {
    const result = results.get(scenario.name)
    if (result === undefined) {
      missing.push(scenario.name)
      continue
    }
    for (const target of scenario.targets(result.figures)) targets.push([scenario, target])
    sections.push(await writeSection(scenario, result, figures))
  }
  await mkdir(folder, { recursive: true })
  await writeFile(report, assemble(targets, sections, missing))
  return { missed: targets.filter(([, target]) => isMet(target) === false).length }
}

function assemble(
  targets: readonly (readonly [Scenario, Target])[],
  sections: readonly string[],
  missing: readonly string[],
): string {
  return `# Measurements

Written by \`pnpm bench\`; no figure here was typed by hand. What is compared runs in turns, in processes of its own, on one
PostgreSQL with its default settings and durability, and a ratio is formed within each round, so that whatever
else the machine did affects both sides. Figures are the median of the rounds, with the smallest and the largest.

## Targets

${table(
  ['', 'target', 'measured', 'all rounds', 'met', 'what stands in the way'],
  targets.map(([{ name, title }, target]) => [
    `[${name}](#${anchorOf(title)}): ${target.what}`,
    describeLimit(target),
    target.measured === null ? '–' : `${formatNumber(middleOf(target.measured))} ${target.unit}`,
    target.measured === null || typeof target.measured === 'number' ? '' : range(target.measured),
    describeMet(isMet(target)),
    describeNotes(target),
  ]),
)}

${sections.join('\n')}
## How to repeat it

\`pnpm bench\` measures everything, \`pnpm bench throughput latency\` these two; what is not measured again keeps its section.
\`--rounds 9\` takes more turns, \`--scale small\` tries everything out in little time, \`--seed 2\` draws other data. The figures
of every round are in \`reports/bench/\`, and \`pnpm bench --report-only\` makes this page of them. BullMQ is compared where
\`redis-server\` or \`valkey-server\` is in PATH. Close what else runs: the load of each section says how busy the machine was.
${missing.length > 0 ? `\nNot measured yet: ${missing.join(', ')}.\n` : ''}`
}

async function writeSection(
  scenario: Scenario,
  result: StoredResult,
  folder: string,
): Promise<string> {
  const drawings: string[] = []
  for (const plot of scenario.plots(result.figures)) {
    const file = `${scenario.name}-${plot.name}.svg`
    await writeFile(join(folder, file), drawPlot(plot))
    drawings.push(`![${plot.title}](bench/${file})`)
  }
  return `## ${scenario.title}

${scenario.render(result.figures).trim()}

${drawings.map((drawing) => `${drawing}\n\n`).join('')}<sub>${describe(result)}</sub>
`
}

function describe({
  measuredAt,
  commit,
  scale,
  seed,
  loads,
  machine,
  postgres,
  durationMs,
}: StoredResult): string {
  const { cpu, cores, memoryGb, system, node } = machine
  return [
    `${measuredAt.slice(0, 16).replace('T', ' ')} UTC`,
    tellCommit(commit),
    scale === 'full' ? null : '**scale small: for trying out, not for comparing**',
    `${cores} × ${cpu}, ${memoryGb} GB, ${system}`,
    `Node ${node}`,
    postgres === null ? null : `PostgreSQL ${postgres}`,
    `seed ${seed}`,
    loads.length === 0
      ? null
      : `load ${formatNumber(median(loads))} (${formatNumber(Math.min(...loads))} to ${formatNumber(Math.max(...loads))})`,
    `took ${formatNumber(durationMs / 1_000)} s`,
  ]
    .filter((part) => part !== null)
    .join(' · ')
}

function describeLimit({ atLeast, atMost, unit }: Target): string {
  if (atLeast !== undefined) return `≥ ${formatNumber(atLeast)} ${unit}`
  if (atMost !== undefined) return `≤ ${formatNumber(atMost)} ${unit}`
  return '–'
}

/** Null when there is nothing to judge by. */
export function isMet({ measured, atLeast, atMost }: Target): boolean | null {
  const middle = measured === null ? NaN : middleOf(measured)
  if (Number.isNaN(middle)) return null
  return middle >= (atLeast ?? -Infinity) && middle <= (atMost ?? Infinity)
}

function middleOf(measured: Summary | number): number {
  return typeof measured === 'number' ? measured : measured.median
}

function describeNotes(target: Target): string {
  const { note, obstacle } = target
  const notes = isMet(target) === false ? [note, obstacle] : [note]
  return notes.filter((text) => text !== undefined).join('; ')
}

function describeMet(met: boolean | null): string {
  if (met === null) return 'not measured'
  return met ? 'yes' : '**no**'
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .replaceAll(/\s/g, '-')
}
