// Has workers live with whatever handlers, payloads, definitions, observers, hosts, roles and people may do to them.
import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCommit } from '@roundsman/testing/readCommit'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { tryControls } from './controlModel.ts'
import { DEADLY } from './deadlyOutcomes.ts'
import { hasFailed, renderHostile, repeatHostile } from './renderHostile.ts'
import { CELLS } from './matrixCells.ts'
import { runHostile, type HostileOptions, type HostileResult } from './runHostile.ts'
import { runMatrix, type CellResult } from './runMatrix.ts'
import { runNetworks } from './runNetworks.ts'
import { runSchedules, type SchedulesResult } from './runSchedules.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const DATA_DIR = join(WORKSPACE_ROOT, '.data')
const REPORT = 'reports/hostile.md'
const DEFAULTS = {
  outcomes: 100_000,
  deadly: DEADLY.length,
  sequences: 5_000,
  fleets: 300,
  networks: 20,
}
const PARTS = ['outcomes', 'matrix', 'control', 'fleets', 'networks'] as const
type Part = (typeof PARTS)[number]
const USAGE = `Usage: pnpm hostile [--seed N]... [--outcomes N] [--deadly N] [--sequences N] [--fleets N]
                    [--networks N] [--only outcomes | matrix | control | fleets | networks] [--trace FILE]

Runs handlers, payloads, definitions and observers that misbehave at random beside
innocent jobs, and then checks that only the guilty runs suffered. Then tries hosts
and roles of all kinds, what people may do to work, held against a model, workers of
different versions that come and go, and networks that are slow, silent or cut. Writes ${REPORT}.

  --seed N      the seed of the random misbehaviour; several run one after the other. Default: random
  --outcomes N  how many runs that end in a random way; default ${DEFAULTS.outcomes}
  --deadly N    how many runs that end their process; default ${DEFAULTS.deadly}
  --sequences N how many sequences of what people do; default ${DEFAULTS.sequences}
  --fleets N    how often a worker comes or goes, or somebody changes a schedule; default ${DEFAULTS.fleets}
  --networks N  how many networks; default ${DEFAULTS.networks}
  --only WHAT   run only this part, and write no report
  --trace FILE  write everything that happens to this file

Exit code: 0 all held, 1 something did not, 2 usage`

/** An outcome takes some 5 ms; ten times that means that something stands still. */
const PATIENCE_MS = ({ outcomes, deadly }: HostileOptions) =>
  600_000 + outcomes * 50 + deadly * 120_000
/** A host or a role takes a few seconds. */
const MATRIX_PATIENCE_MS = 1_200_000
/** A sequence takes a third of a second. */
const CONTROL_PATIENCE_MS = (sequences: number) => 300_000 + sequences * 2_000
/** A worker starts in a second or two, and ends within three. */
const FLEETS_PATIENCE_MS = (steps: number) => 300_000 + steps * 10_000
/** How many disturbances follow each other on one network. They take some seconds each, and the end a minute at most. */
const NETWORK_STEPS = 10
const NETWORK_PATIENCE_MS = 300_000

process.exit(await main())

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    print(USAGE)
    return 0
  }
  const parsed = readArguments()
  if (parsed === null) return 2
  const { seeds, size, sequences, fleets, networks, only, trace } = parsed
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  const commit = await readCommit(WORKSPACE_ROOT)
  const results: HostileResult[] = []
  let isWell = true
  for (const seed of only === null || only === 'outcomes' ? seeds : []) {
    const options = { seed, ...size }
    print(`Seed ${seed}`)
    const result = await runOnItsOwn(options, { stop: stop.signal, trace })
    for (const { name, isPassed, figures } of result?.checks ?? []) {
      print(`${isPassed ? 'PASS' : 'FAIL'}  ${name}: ${figures}`)
    }
    if (result === null) return 1
    if (hasFailed(result)) isWell = false
    results.push(result)
  }
  if (only === 'outcomes') return isWell ? 0 : 1
  const isWanted = (part: Part) => only === null || only === part
  if (isWanted('control') && !(await tryControl(seeds[0] ?? 1, sequences, stop.signal)))
    isWell = false
  if (isWanted('networks') && !(await tryNetworks(seeds[0] ?? 1, networks, stop.signal)))
    isWell = false
  const cells = isWanted('matrix') ? await tryMatrix(stop.signal) : []
  if (cells === null || cells.some(({ problem }) => problem !== null)) isWell = false
  const schedules = isWanted('fleets') ? await tryFleets(seeds, fleets, stop.signal) : []
  if (schedules === null || schedules.some(({ problems }) => problems.length > 0)) isWell = false
  if (results.length > 0 && cells && schedules) {
    await writeFile(join(WORKSPACE_ROOT, REPORT), renderHostile(results, cells, schedules, commit))
    print(`Written to ${REPORT}`)
  }
  return isWell ? 0 : 1
}

/** Null when it came to no result. */
async function runOnItsOwn(
  options: HostileOptions,
  { stop, trace }: { stop: AbortSignal; trace: string | undefined },
): Promise<HostileResult | null> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(PATIENCE_MS(options))])
  const elapsed = startClock()
  const onProgress = (message: string) => print(`${elapsed()}  ${message}`)
  const onEvent = (event: string) => trace && appendFileSync(trace, `${elapsed()}  ${event}\n`)
  try {
    const result = await withServer(signal, async (databaseUrl) =>
      runHostile(options, { databaseUrl, signal, onProgress, onEvent }),
    )
    if (hasFailed(result)) process.stderr.write(`Repeat with: ${repeatHostile(options)}\n`)
    return result
  } catch (error) {
    tellError(error, stop)
    if (!stop.aborted) process.stderr.write(`Repeat with: ${repeatHostile(options)}\n`)
    return null
  }
}

/** Whether what people do, in any order, has led to what the model says. */
async function tryControl(seed: number, sequences: number, stop: AbortSignal): Promise<boolean> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(CONTROL_PATIENCE_MS(sequences))])
  try {
    await withServer(signal, (databaseUrl) => tryControls({ databaseUrl, seed, sequences }))
    print(`PASS  ${sequences} sequences of what people do to work agree with the model`)
    return true
  } catch (error) {
    tellError(error, stop)
    process.stderr.write(
      `Repeat with: pnpm hostile --only control --seed ${seed} --sequences ${sequences}\n`,
    )
    return false
  }
}

/** Null when it came to no result. */
async function tryMatrix(stop: AbortSignal): Promise<CellResult[] | null> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(MATRIX_PATIENCE_MS)])
  const elapsed = startClock()
  const onCell = ({ name, problem }: CellResult) =>
    print(
      `${elapsed()}  ${problem === null ? `held: ${name}` : `did NOT hold: ${name}: ${problem}`}`,
    )
  try {
    return await withServer(signal, async (adminUrl) =>
      runMatrix(CELLS, { adminUrl, signal, onCell }),
    )
  } catch (error) {
    tellError(error, stop)
    return null
  }
}

/** Null when it came to no result. */
async function tryFleets(
  seeds: readonly number[],
  steps: number,
  stop: AbortSignal,
): Promise<SchedulesResult[] | null> {
  const results: SchedulesResult[] = []
  try {
    for (const seed of seeds) {
      const signal = AbortSignal.any([stop, AbortSignal.timeout(FLEETS_PATIENCE_MS(steps))])
      const result = await withServer(signal, (adminUrl) =>
        runSchedules({ seed, steps }, { adminUrl, signal }),
      )
      const verdict = result.problems.length === 0 ? 'held' : 'did NOT hold'
      print(`${verdict}: schedules with seed ${seed}: ${result.problems.join('; ')}`)
      results.push(result)
    }
    return results
  } catch (error) {
    tellError(error, stop)
    return null
  }
}

/** Whether all held. */
async function tryNetworks(first: number, count: number, stop: AbortSignal): Promise<boolean> {
  let isWell = true
  for (let seed = first; seed < first + count; seed++) {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(NETWORK_PATIENCE_MS)])
    try {
      const { problems, steps, enqueued } = await withServer(signal, async (databaseUrl) =>
        runNetworks({ seed, steps: NETWORK_STEPS }, { databaseUrl, signal }),
      )
      print(`${problems.length === 0 ? 'PASS' : 'FAIL'}  network ${seed}: ${enqueued} pieces`)
      if (problems.length === 0) continue
      for (const line of [...problems, ...steps]) print(`      ${line}`)
    } catch (error) {
      tellError(error, stop)
    }
    process.stderr.write(`Repeat with: pnpm hostile --only networks --seed ${seed} --networks 1\n`)
    isWell = false
    if (stop.aborted) break
  }
  return isWell
}

function tellError(error: unknown, stop: AbortSignal): void {
  const { message, stack } = error as Error
  process.stderr.write(`${stop.aborted ? message : stack}\n`)
}

/** Gives `run` a PostgreSQL of its own, which ends with it. */
async function withServer<T>(
  signal: AbortSignal,
  run: (databaseUrl: string) => Promise<T>,
): Promise<T> {
  const settings = { max_connections: '200' }
  return await withOwnPostgres(
    { parent: DATA_DIR, name: 'hostile', settings, signal },
    async ({ databaseUrl }) => run(databaseUrl),
  )
}

function startClock(): () => string {
  const startedAt = performance.now()
  return () => `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s`
}

function readArguments(): {
  seeds: number[]
  size: Omit<HostileOptions, 'seed'>
  sequences: number
  fleets: number
  networks: number
  only: Part | null
  trace: string | undefined
} | null {
  try {
    const type = 'string'
    const { values } = parseArgs({
      options: {
        seed: { type, multiple: true },
        outcomes: { type },
        deadly: { type },
        sequences: { type },
        fleets: { type },
        networks: { type },
        only: { type },
        trace: { type },
      },
    })
    const number = (name: string, text: string | undefined, least: number, fallback: number) => {
      const value = text === undefined ? fallback : Number(text)
      if (!Number.isSafeInteger(value) || value < least) {
        throw new Error(`--${name} is a whole number from ${least}, and not ${text}`)
      }
      return value
    }
    const seeds = values.seed ?? [String(randomInt(1, 1_000_000))]
    const size = {
      outcomes: number('outcomes', values.outcomes, 1, DEFAULTS.outcomes),
      deadly: number('deadly', values.deadly, 0, DEFAULTS.deadly),
    }
    const sequences = number('sequences', values.sequences, 1, DEFAULTS.sequences)
    const fleets = number('fleets', values.fleets, 1, DEFAULTS.fleets)
    const networks = number('networks', values.networks, 1, DEFAULTS.networks)
    const { trace } = values
    const only = PARTS.find((part) => part === values.only) ?? null
    if (only === null && values.only !== undefined)
      throw new Error(`--only is ${PARTS.join(', ')}, and not ${values.only}`)
    const checked = seeds.map((seed) => number('seed', seed, 1, 1))
    return { seeds: checked, size, sequences, fleets, networks, only, trace }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
