// Tries to break the guarantees.
import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCommit } from '@roundsman/testing/readCommit'
import { describeVanishing, hasFailed, renderReport, repeatCommand } from './renderReport.ts'
import { runChaos, type ChaosOptions, type ChaosResult } from './runChaos.ts'
import { vanishMachine, type VanishResult } from './vanishMachine.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const REPORT = 'reports/chaos.md'
const DEFAULTS = { kills: 300, jobs: 20_000, rows: 1_000_000, seconds: 270 }
const USAGE = `Usage: pnpm chaos [--seed N]... [--kills N] [--jobs N] [--rows N] [--seconds N]
                  [--beside COMMIT] [--trace FILE]

Tries to break the guarantees: kills, freezes and cuts off workers that carry
out queued jobs, schedules and a clean-up, and then checks that every guarantee holds.
Writes ${REPORT}.

  --seed N      the seed of the random plan; several run one after the other. Default: random
  --kills N     how many workers to kill; default ${DEFAULTS.kills}
  --jobs N      how many jobs to enqueue; default ${DEFAULTS.jobs}
  --rows N      how many rows the clean-up has to remove; default ${DEFAULTS.rows}
  --seconds N   how long to disturb the workers; default ${DEFAULTS.seconds}
  --beside COMMIT  also start workers of that version, of 0.3 or later, as in a rolling upgrade
  --trace FILE  write everything that happens to this file

Exit code: 0 every check passed, 1 one did not, 2 usage`

/** How long everything before and after the disturbances may take. */
const PATIENCE_MS = 300_000

process.exit(await main())

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    print(USAGE)
    return 0
  }
  const parsed = readArguments()
  if (parsed === null) return 2
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  const commit = await readCommit(WORKSPACE_ROOT)
  const results: ChaosResult[] = []
  for (const options of parsed.runs) {
    const result = await tryOne(options, { stop, trace: parsed.trace })
    if (result === null) return 1
    results.push(result)
    await writeFile(join(WORKSPACE_ROOT, REPORT), renderReport(results, null, commit))
  }
  const vanish = await tryVanishing(stop)
  await writeFile(join(WORKSPACE_ROOT, REPORT), renderReport(results, vanish, commit))
  print(`Written to ${REPORT}`)
  const failed = results.filter(hasFailed)
  for (const result of failed) process.stderr.write(`Repeat with: ${repeatCommand(result)}\n`)
  return failed.length === 0 && vanish?.isPassed !== false ? 0 : 1
}

/** Null where it cannot be tried. */
async function tryVanishing(stop: AbortController): Promise<VanishResult | null> {
  print('A machine that vanishes from the network')
  const startedAt = performance.now()
  const elapsed = () => `${((performance.now() - startedAt) / 1_000).toFixed(3).padStart(8)} s`
  const result = await vanishMachine({
    signal: stop.signal,
    onProgress: (message) => print(`${elapsed()}  ${message}`),
    onEvent: () => undefined,
  })
  if (result === null) print('NOT TRIED: it takes root and iproute2 on Linux')
  else print(`${result.isPassed ? 'PASS' : 'FAIL'}  ${describeVanishing(result)}`)
  return result
}

/** Null when it came to no result. */
async function tryOne(
  options: ChaosOptions,
  { stop, trace }: { stop: AbortController; trace: string | undefined },
): Promise<ChaosResult | null> {
  const tooLong = () => stop.abort(new Error('It took too long'))
  const timer = setTimeout(tooLong, options.seconds * 1_000 + PATIENCE_MS)
  const startedAt = performance.now()
  const elapsed = () => `${((performance.now() - startedAt) / 1_000).toFixed(3).padStart(8)} s`
  print(`Seed ${options.seed}`)
  try {
    const result = await runChaos(options, {
      signal: stop.signal,
      onProgress: (message) => print(`${elapsed()}  ${message}`),
      onEvent: (event) => trace && appendFileSync(trace, `${elapsed()}  ${event}\n`),
    })
    for (const { name, isPassed, figures } of result.checks) {
      print(`${isPassed ? 'PASS' : 'FAIL'}  ${name}: ${figures}`)
    }
    return result
  } catch (error) {
    const { message, stack } = error as Error
    process.stderr.write(`${stop.signal.aborted ? message : stack}\n`)
    if (!stop.signal.aborted) process.stderr.write(`Repeat with: ${repeatCommand({ options })}\n`)
    return null
  } finally {
    clearTimeout(timer)
  }
}

function readArguments(): { runs: ChaosOptions[]; trace: string | undefined } | null {
  try {
    const type = 'string'
    const { values } = parseArgs({
      options: {
        seed: { type, multiple: true },
        kills: { type },
        jobs: { type },
        rows: { type },
        seconds: { type },
        beside: { type },
        trace: { type },
      },
    })
    const number = (name: string, text: string | undefined, fallback: number) => {
      const value = text === undefined ? fallback : Number(text)
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new Error(`--${name} is a whole number from 1, and not ${text}`)
      }
      return value
    }
    const size = {
      kills: number('kills', values.kills, DEFAULTS.kills),
      jobs: number('jobs', values.jobs, DEFAULTS.jobs),
      rows: number('rows', values.rows, DEFAULTS.rows),
      seconds: number('seconds', values.seconds, DEFAULTS.seconds),
      beside: values.beside ?? null,
    }
    const seeds = values.seed ?? [String(randomInt(1, 1_000_000))]
    const runs = seeds.map((seed) => ({ seed: number('seed', seed, 1), ...size }))
    return { runs, trace: values.trace }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
