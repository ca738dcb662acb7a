// Lets workers live with whatever handlers, payloads, definitions, observers, hosts and roles may do to them.
import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { DEADLY } from './drawOutcome.ts'
import { hasFailed, renderHostile, repeatHostile } from './renderHostile.ts'
import { CELLS } from './matrixCells.ts'
import { runHostile, type HostileOptions, type HostileResult } from './runHostile.ts'
import { runMatrix, type CellResult } from './runMatrix.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const DATA_DIR = join(WORKSPACE_ROOT, '.data')
const REPORT = 'reports/hostile.md'
const DEFAULTS = { outcomes: 100_000, deadly: DEADLY.length }
const USAGE = `Usage: pnpm hostile [--seed N] [--outcomes N] [--deadly N]
                    [--only outcomes | --only matrix] [--trace FILE]

Draws what handlers, payloads, definitions and observers may do, lets workers live
with it beside innocent jobs, and then looks whether all is right. Then tries
hosts and roles of all kinds. Writes ${REPORT}.

  --seed N      what is drawn. Default: any
  --outcomes N  ways in which a handler ends; default ${DEFAULTS.outcomes}
  --deadly N    those that end their process; default ${DEFAULTS.deadly}
  --only WHAT   one of the two; the report is then not written
  --trace FILE  keeps everything that happens

Exit code: 0 all held, 1 something did not, 2 usage`

/** Some 5 ms each; what takes ten times that has come to a standstill. */
const PATIENCE_MS = ({ outcomes, deadly }: HostileOptions) =>
  600_000 + outcomes * 50 + deadly * 120_000

process.exit(await main())

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    print(USAGE)
    return 0
  }
  const parsed = readArguments()
  if (parsed === null) return 2
  const { options, only, trace } = parsed
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  print(`Seed ${options.seed}`)
  try {
    const { result, cells } = await runOnItsOwn(options, { stop: stop.signal, only, trace })
    for (const { name, isPassed, figures } of result?.checks ?? []) {
      print(`${isPassed ? 'PASS' : 'FAIL'}  ${name}: ${figures}`)
    }
    if (result && cells) {
      await writeFile(join(WORKSPACE_ROOT, REPORT), renderHostile(result, cells))
      print(`Written to ${REPORT}`)
    }
    const isWell = cells?.every(({ problem }) => problem === null) ?? true
    if (isWell && !(result && hasFailed(result))) return 0
  } catch (error) {
    const { message, stack } = error as Error
    process.stderr.write(`${stop.signal.aborted ? message : stack}\n`)
  }
  process.stderr.write(`Repeat with: ${repeatHostile(options)}\n`)
  return 1
}

async function runOnItsOwn(
  options: HostileOptions,
  { stop, only, trace }: { stop: AbortSignal; only: Part | null; trace: string | undefined },
): Promise<{ result: HostileResult | null; cells: CellResult[] | null }> {
  const signal = AbortSignal.any([stop, AbortSignal.timeout(PATIENCE_MS(options))])
  const startedAt = performance.now()
  const elapsed = () => `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s`
  const onProgress = (message: string) => print(`${elapsed()}  ${message}`)
  const onEvent = (event: string) => trace && appendFileSync(trace, `${elapsed()}  ${event}\n`)
  const onCell = ({ name, problem }: CellResult) =>
    onProgress(problem === null ? `held: ${name}` : `did NOT hold: ${name}: ${problem}`)
  const settings = { max_connections: '200' }
  return await withOwnPostgres(
    { parent: DATA_DIR, name: 'hostile', settings, signal },
    async ({ databaseUrl }) => {
      const result =
        only === 'matrix'
          ? null
          : await runHostile(options, { databaseUrl, signal, onProgress, onEvent })
      const cells =
        only === 'outcomes'
          ? null
          : await runMatrix(CELLS, { adminUrl: databaseUrl, signal, onCell })
      return { result, cells }
    },
  )
}

type Part = 'outcomes' | 'matrix'

function readArguments(): {
  options: HostileOptions
  only: Part | null
  trace: string | undefined
} | null {
  try {
    const type = 'string'
    const { values } = parseArgs({
      options: {
        seed: { type },
        outcomes: { type },
        deadly: { type },
        only: { type },
        trace: { type },
      },
    })
    const number = (name: 'seed' | 'outcomes' | 'deadly', least: number, fallback: number) => {
      const text = values[name]
      const value = text === undefined ? fallback : Number(text)
      if (!Number.isSafeInteger(value) || value < least) {
        throw new Error(`--${name} is a whole number from ${least}, and not ${text}`)
      }
      return value
    }
    const options = {
      seed: number('seed', 1, randomInt(1, 1_000_000)),
      outcomes: number('outcomes', 1, DEFAULTS.outcomes),
      deadly: number('deadly', 0, DEFAULTS.deadly),
    }
    const { only = null, trace } = values
    if (only !== null && only !== 'outcomes' && only !== 'matrix') {
      throw new Error(`--only is outcomes or matrix, and not ${only}`)
    }
    return { options, only, trace }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
