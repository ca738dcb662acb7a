import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, platform, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Scale } from './scenario.ts'

/** What the figures depend on. It contains nothing that identifies the machine. */
export interface Machine {
  cpu: string
  cores: number
  memoryGb: number
  system: string
  node: string
}

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

export async function describeMachine(): Promise<Machine> {
  const [cpu] = cpus()
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: await readSystem(),
    node: process.version,
  }
}

async function readSystem(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^PRETTY_NAME="?([^"\n]+)/m.exec(text)?.[1] ?? platform()
}
