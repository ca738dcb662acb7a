// Has workers live with whatever handlers, payloads, definitions, observers, hosts, roles and people may do to them.
import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCommit } from '@roundsman/testing/readCommit'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { DEADLY } from './deadlyOutcomes.ts'
import { hasFailed, putSection, renderHostile, repeatHostile } from './renderHostile.ts'
import { CELLS } from './matrixCells.ts'
import { PARTS, type Part, type PartResult } from './parts.ts'
import { runHostile, type HostileOptions, type HostileResult } from './runHostile.ts'
import { runMatrix, type CellResult } from './runMatrix.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const DATA_DIR = join(WORKSPACE_ROOT, '.data')
const REPORT = 'reports/hostile.md'
type PartName = keyof typeof PARTS
const DRAWN = Object.entries(PARTS) as [PartName, Part][]
const NAMES = ['outcomes', 'matrix', ...DRAWN.map(([name]) => name)]
const DEFAULTS = { outcomes: 100_000, deadly: DEADLY.length }
const USAGE = `Usage: pnpm hostile [--seed N]... [--outcomes N] [--deadly N] ${DRAWN.map(([, { option }]) => `[--${option} N]`).join(' ')}
                    [--only ${NAMES.join(' | ')}] [--trace FILE]

Runs handlers, payloads, definitions and observers that misbehave at random beside
innocent jobs, and then checks that only the guilty runs suffered. Then tries hosts
and roles of all kinds, what people may do to work, held against a model, workers of
different versions that come and go, networks that are slow, silent or cut, what other
sessions lock, and all numbers that are taken. Writes ${REPORT}.

  --seed N      the seed of the random misbehaviour; several run one after the other. Default: random
  --outcomes N  how many runs that end in a random way; default ${DEFAULTS.outcomes}
  --deadly N    how many runs that end their process; default ${DEFAULTS.deadly}
${DRAWN.map(([, { option, counts, fallback }]) => `  --${option.padEnd(9)} N how many ${counts}; default ${fallback}`).join('\n')}
  --only WHAT   run only this part. Of outcomes or matrix alone, it writes nothing into the report
  --trace FILE  write everything that happens to this file

Exit code: 0 all held, 1 something did not, 2 usage`

/** An outcome takes some 5 ms; ten times that means that something stands still. */
const PATIENCE_MS = ({ outcomes, deadly }: HostileOptions) =>
  600_000 + outcomes * 50 + deadly * 120_000
/** A host or a role takes a few seconds. */
const MATRIX_PATIENCE_MS = 1_200_000

process.exit(await main())

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    print(USAGE)
    return 0
  }
  const parsed = readArguments()
  if (parsed === null) return 2
  const { seeds, size, counts, only, trace } = parsed
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
  const isWanted = (part: string) => only === null || only === part
  const cells = isWanted('matrix') ? await tryMatrix(stop.signal) : []
  if (cells === null || cells.some(({ problem }) => problem !== null)) isWell = false
  if (cells && results.length > 0 && only === null) {
    await writeFile(join(WORKSPACE_ROOT, REPORT), renderHostile(results, cells, commit))
  }
  for (const [name, part] of DRAWN.filter(([each]) => isWanted(each))) {
    const drawn: (PartResult & { seed: number; count: number })[] = []
    for (const seed of seeds) {
      const count = counts[name]
      const result = await tryPart(name, { seed, count }, stop.signal)
      if (result === null) return 1
      if (result.problems.length > 0) isWell = false
      drawn.push({ seed, count, ...result })
    }
    const report = await readFile(join(WORKSPACE_ROOT, REPORT), 'utf8')
    await writeFile(join(WORKSPACE_ROOT, REPORT), putSection(report, part, drawn, commit))
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

/** Null when somebody stopped it. */
async function tryPart(
  name: PartName,
  { seed, count }: { seed: number; count: number },
  stop: AbortSignal,
): Promise<PartResult | null> {
  const part: Part = PARTS[name]
  const signal = AbortSignal.any([stop, AbortSignal.timeout(part.patienceMs(count))])
  let result: PartResult
  try {
    result = await withServer(signal, (adminUrl) => part.run({ seed, count }, { adminUrl, signal }))
  } catch (error) {
    tellError(error, stop)
    if (stop.aborted) return null
    const { message, cause } = error as Error
    // What has been drawn is long, and stands above.
    result = { problems: [cause instanceof Error ? cause.message : message], figures: '' }
  }
  const { problems, figures } = result
  print(`${problems.length === 0 ? 'PASS' : 'FAIL'}  ${name} with seed ${seed}: ${figures}`)
  for (const problem of problems) print(`      ${problem}`)
  if (problems.length > 0)
    process.stderr.write(
      `Repeat with: pnpm hostile --only ${name} --seed ${seed} --${part.option} ${count}\n`,
    )
  return result
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

function tellError(error: unknown, stop: AbortSignal): void {
  const { message, stack, cause } = error as Error
  process.stderr.write(`${stop.aborted ? message : stack}\n`)
  if (cause instanceof Error && !stop.aborted) process.stderr.write(`${cause.message}\n`)
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
  counts: Record<PartName, number>
  only: string | null
  trace: string | undefined
} | null {
  try {
    const type = 'string'
    const { values } = parseArgs({
      options: {
        seed: { type, multiple: true },
        outcomes: { type },
        deadly: { type },
        only: { type },
        trace: { type },
        ...Object.fromEntries(DRAWN.map(([, { option }]) => [option, { type } as const])),
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
    const given = values as Record<string, string | undefined>
    const counts = Object.fromEntries(
      DRAWN.map(([name, { option, fallback }]) => [
        name,
        number(option, given[option], 1, fallback),
      ]),
    ) as Record<PartName, number>
    const { trace } = values
    const only = NAMES.find((name) => name === values.only) ?? null
    if (only === null && values.only !== undefined)
      throw new Error(`--only is ${NAMES.join(', ')}, and not ${values.only}`)
    const checked = seeds.map((seed) => number('seed', seed, 1, 1))
    return { seeds: checked, size, counts, only, trace }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
