import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Machine } from './describeMachine.ts'
import type { Scale } from './scenario.ts'

/** What one scenario found, as it is kept beside the report. */
export interface StoredResult {
  scenario: string
  measuredAt: string
  /** The commit that was measured, with a plus sign when the work tree differed. */
  commit: string | null
  scale: Scale
  seed: number
  durationMs: number
  /** The machine's load of one minute, at the start of each round. */
  loads: number[]
  machine: Machine
  postgres: string | null
  figures: unknown
}

export async function storeResult(folder: string, result: StoredResult): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(fileOf(folder, result.scenario), `${JSON.stringify(result, roundNumber, 2)}\n`)
}

/** The results of those scenarios that were ever measured. */
export async function readResults(
  folder: string,
  scenarios: readonly string[],
): Promise<Map<string, StoredResult>> {
  const results = new Map<string, StoredResult>()
  for (const scenario of scenarios) {
    const text = await readFile(fileOf(folder, scenario), 'utf8').catch(() => null)
    if (text !== null) results.set(scenario, JSON.parse(text) as StoredResult)
  }
  return results
}

/** Removes the drawings of the report before. */
export async function removePlots(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.endsWith('.svg')) await rm(join(folder, name))
  }
}

function fileOf(folder: string, scenario: string): string {
  return join(folder, `${scenario}.json`)
}

/** Nanoseconds of a figure say nothing. */
function roundNumber(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Math.round(value * 1_000) / 1_000
    : value
}
