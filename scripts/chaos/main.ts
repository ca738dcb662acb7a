// Tries to break the guarantees: `pnpm chaos [--seed N] [--kills N] [--jobs N] [--rows N] [--seconds N]`.
import { randomInt } from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { renderReport, repeatCommand } from './renderReport.ts'
import { runChaos, type ChaosOptions } from './runChaos.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')
const REPORT = 'reports/chaos.md'
const DEFAULTS = { kills: 300, jobs: 20_000, rows: 1_000_000, seconds: 270 }
/** For all that comes before and after the disturbances. */
const PATIENCE_MS = 300_000

process.exit(await main())

async function main(): Promise<number> {
  const parsed = readArguments()
  if (parsed === null) return 2
  const { options, trace } = parsed
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  const tooLong = () => stop.abort(new Error('It took too long'))
  setTimeout(tooLong, options.seconds * 1_000 + PATIENCE_MS).unref()
  const startedAt = new Date()
  const elapsed = () => `${((Date.now() - startedAt.getTime()) / 1_000).toFixed(3).padStart(8)} s`
  print(`Seed ${options.seed}`)
  try {
    const result = await runChaos(options, {
      signal: stop.signal,
      onProgress: (message) => print(`${elapsed()}  ${message}`),
      onEvent: (event) => trace && appendFileSync(trace, `${elapsed()}  ${event}\n`),
    })
    await writeFile(join(WORKSPACE_ROOT, REPORT), renderReport(result, startedAt))
    for (const { name, isPassed, figures } of result.checks) {
      print(`${isPassed ? 'PASS' : 'FAIL'}  ${name}: ${figures}`)
    }
    print(`Written to ${REPORT}`)
    const failed = result.checks.filter(({ isPassed }) => !isPassed)
    for (const { name } of failed) process.stderr.write(`FAILED: ${name}\n`)
    if (failed.length > 0) process.stderr.write(`Repeat with: ${repeatCommand(result)}\n`)
    return failed.length === 0 ? 0 : 1
  } catch (error) {
    const { message, stack } = error as Error
    process.stderr.write(`${stop.signal.aborted ? message : stack}\n`)
    if (!stop.signal.aborted) process.stderr.write(`Repeat with: ${repeatCommand({ options })}\n`)
    return 1
  }
}

function readArguments(): { options: ChaosOptions; trace: string | undefined } | null {
  try {
    const type = 'string'
    const { values } = parseArgs({
      options: {
        seed: { type },
        kills: { type },
        jobs: { type },
        rows: { type },
        seconds: { type },
        // A file for everything that happens.
        trace: { type },
      },
    })
    const number = (name: 'seed' | keyof typeof DEFAULTS, fallback: number) => {
      const value = values[name] === undefined ? fallback : Number(values[name])
      if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} is a whole number`)
      return value
    }
    const options = {
      seed: number('seed', randomInt(1, 1_000_000)),
      kills: number('kills', DEFAULTS.kills),
      jobs: number('jobs', DEFAULTS.jobs),
      rows: number('rows', DEFAULTS.rows),
      seconds: number('seconds', DEFAULTS.seconds),
    }
    return { options, trace: values.trace }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
