// Sends the API whatever may be asked, and what may not.
import { randomInt } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readCommit } from '@roundsman/testing/readCommit'
import { withOwnPostgres } from '../withOwnPostgres.ts'
import { renderFuzzReport, repeatFuzz, summarizeFindings } from './renderFuzzReport.ts'
import { runFuzz, type FuzzOptions, type FuzzResult } from './runFuzz.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../../../..')
const DATA_DIR = join(WORKSPACE_ROOT, '.data')
const REPORTS = { alone: 'reports/fuzz.md', withWorker: 'reports/fuzz-worker.md' }
const DEFAULT_REQUESTS = 10_000
const USAGE = `Usage: pnpm fuzz [--seed N]... [--requests N] [--worker]

Sends valid and invalid requests to an API that it starts itself, and checks every answer
against the OpenAPI document. Writes ${REPORTS.alone}, or with a worker
${REPORTS.withWorker}.

  --seed N      the seed of the random requests; several run one after the other. Default: random
  --requests N  how many requests to send; default ${DEFAULT_REQUESTS}
  --worker      also start a worker that runs what is requested

Exit code: 0 no findings, 1 some, 2 usage`

/** A request takes a few milliseconds; ten times that means that something hangs. */
const PATIENCE_MS = (requests: number) => 120_000 + requests * 60

process.exit(await main())

async function main(): Promise<number> {
  if (process.argv.includes('--help') || process.argv.includes('-h')) {
    print(USAGE)
    return 0
  }
  const runs = readArguments()
  if (runs === null) return 2
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`Stopped by ${signal}`)))
  }
  const commit = await readCommit(WORKSPACE_ROOT)
  const results: FuzzResult[] = []
  for (const options of runs) {
    print(`Seed ${options.seed}`)
    try {
      results.push(await runOnItsOwn(options, stop.signal))
    } catch (error) {
      process.stderr.write(
        `${stop.signal.aborted ? (error as Error).message : (error as Error).stack}\n`,
      )
      process.stderr.write(`Repeat with: ${repeatFuzz({ options })}\n`)
      return 1
    }
  }
  const report = runs.some(({ hasWorker }) => hasWorker) ? REPORTS.withWorker : REPORTS.alone
  await writeFile(join(WORKSPACE_ROOT, report), renderFuzzReport(results, commit))
  for (const result of results) {
    for (const line of summarizeFindings(result.findings)) print(`FAIL  ${line}`)
    if (result.findings.length > 0) print(`Repeat with: ${repeatFuzz(result)}`)
  }
  const count = results.reduce((sum, { findings }) => sum + findings.length, 0)
  print(`${count} findings. Written to ${report}`)
  return count === 0 ? 0 : 1
}

async function runOnItsOwn(options: FuzzOptions, stop: AbortSignal): Promise<FuzzResult> {
  const tooLong = AbortSignal.timeout(PATIENCE_MS(options.requests))
  const signal = AbortSignal.any([stop, tooLong])
  return await withOwnPostgres({ parent: DATA_DIR, name: 'fuzz', signal }, (postgres) =>
    runFuzz(options, { ...postgres, signal, onProgress: print }),
  )
}

function readArguments(): FuzzOptions[] | null {
  try {
    const { values } = parseArgs({
      options: {
        seed: { type: 'string', multiple: true },
        requests: { type: 'string' },
        worker: { type: 'boolean', default: false },
      },
    })
    const number = (name: string, text: string) => {
      const value = Number(text)
      if (!Number.isSafeInteger(value) || value < 1) {
        throw new Error(`--${name} is a whole number from 1, and not ${text}`)
      }
      return value
    }
    const requests = number('requests', values.requests ?? String(DEFAULT_REQUESTS))
    const seeds = values.seed ?? [String(randomInt(1, 1_000_000))]
    const hasWorker = values.worker
    return seeds.map((seed) => ({ seed: number('seed', seed), requests, hasWorker }))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`)
    return null
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
