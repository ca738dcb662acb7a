import { parseArgs } from 'node:util'
import { payloadProblem } from '@roundsman/engine/internal'
import type { Job } from '@roundsman/engine'
import type { RunOnceResult } from '@roundsman/engine/worker'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { UUID } from '../runs/pages.ts'
import { unknownJob } from '../command/unknownJob.ts'

/** Exit codes for scripts, and for other schedulers. */
const EXIT = { success: 0, failed: 1, usage: 2, alreadyRunning: 3 } as const

const usage = (
  call: string,
) => `Usage: ${call} <job> [--dry-run] [--payload JSON | --dead-letter ID] [--json]

  --dry-run         roll everything back; the run is recorded as a dry run
  --payload JSON    the payload for the job; default {}
  --dead-letter ID  make the next attempt at this dead letter, with its payload
  --json            print the run as JSON

Exit code: 0 success, 1 failed, 2 usage, 3 not started because the job is running or queued already`

export interface OnceRequest {
  job: Job
  payload: unknown
  deadLetter: string | undefined
  isDryRun: boolean
  asJson: boolean
}

export interface OnceTerminal extends Terminal {
  /** Called when a run begins that can be interrupted. The signal is aborted when the run should stop. */
  listenForStop(): AbortSignal
}

/** A product whose jobs can be run. */
export interface RunnableProduct {
  jobs: readonly Job[]
  /** @throws ForeseenError */
  run(request: OnceRequest): Promise<RunOnceResult>
}

export interface OnceCommandOptions {
  /** What stands before its arguments: `roundsman once`. */
  call: string
  /** Where dead letters are listed, as a subject of a sentence: `the console`. */
  deadLetterList: string
  /** @throws ForeseenError */
  open(terminal: OnceTerminal): Promise<RunnableProduct>
}

export function createOnceCommand(options: OnceCommandOptions): Command<OnceTerminal> {
  return {
    usage: usage(options.call),
    async run(args, terminal) {
      const product = await options.open(terminal)
      const request = readArguments(args, product.jobs)
      return report(request, await product.run(request), terminal, options)
    },
  }
}

function readArguments(args: string[], jobs: readonly Job[]): OnceRequest {
  const { values, positionals } = parse(args)
  const list = jobs.map(({ name, description }) => `  ${name.padEnd(24)}${description}`).join('\n')
  const [name, ...rest] = positionals
  if (name === undefined) throw new UsageError(`Which job? These are known:\n${list}`)
  if (rest.length > 0) throw new UsageError(`One job at a time; "${rest.join(' ')}" is too much`)
  const job = jobs.find((candidate) => candidate.name === name)
  if (!job) {
    throw unknownJob(
      name,
      jobs.map((known) => known.name),
      { known: `These are known:\n${list}` },
    )
  }
  const deadLetter = values['dead-letter']
  const isDryRun = values['dry-run'] ?? false
  if (deadLetter !== undefined) {
    if (values.payload !== undefined)
      throw new UsageError('--dead-letter brings its own payload: leave --payload out')
    if (isDryRun) throw new UsageError('--dead-letter makes a real attempt: leave --dry-run out')
    if (!UUID.test(deadLetter))
      throw new UsageError(`"${deadLetter}" is not the id of a dead letter`)
  }
  // The dead letter's own payload is checked by its run.
  const payload = deadLetter === undefined ? readPayload(values.payload, job) : undefined
  return { job, payload, deadLetter, isDryRun, asJson: values.json ?? false }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean' },
        payload: { type: 'string' },
        'dead-letter': { type: 'string' },
        json: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function readPayload(text: string | undefined, job: Job): unknown {
  let payload: unknown = {}
  try {
    if (text !== undefined) payload = JSON.parse(text)
  } catch (error) {
    throw new UsageError(`--payload is not JSON: ${(error as Error).message}`)
  }
  const problem = payloadProblem(job, payload)
  if (problem === null) return payload
  throw new UsageError(
    text === undefined
      ? `${job.name} needs a --payload: ${problem}`
      : `--payload does not fit ${job.name}: ${problem}`,
  )
}

function report(
  { job, asJson }: OnceRequest,
  result: RunOnceResult,
  { stdout, stderr }: Terminal,
  { deadLetterList }: OnceCommandOptions,
): number {
  if (asJson) stdout.write(`${JSON.stringify(result.kind === 'ended' ? result.run : result)}\n`)
  switch (result.kind) {
    case 'ended': {
      const { status, id, durationMs, dryRun, details } = result.run
      if (!asJson) {
        const what = dryRun ? `${status} (dry run, rolled back)` : status
        stdout.write(`${job.name}: ${what} in ${durationMs} ms\n`)
        stdout.write(`  run      ${id}\n  details  ${JSON.stringify(details)}\n`)
      }
      return status === 'success' ? EXIT.success : EXIT.failed
    }
    case 'alreadyRunning':
      if (!asJson) {
        stdout.write(`${job.name}: not started, it is running already\n`)
        stdout.write(`  run      ${result.runId}\n  worker   ${result.workerId}\n`)
      }
      return EXIT.alreadyRunning
    case 'alreadyQueued':
      if (!asJson) {
        stdout.write(
          `${job.name}: not started, work with the same unique key waits or runs already\n`,
        )
        stdout.write(`  work     ${result.workId}\n`)
      }
      return EXIT.alreadyRunning
    case 'noDeadLetter':
      stderr.write(
        `${job.name} has no dead letter ${result.workId}; ${deadLetterList} lists those there are\n`,
      )
      return EXIT.usage
    case 'lost':
      if (!asJson) stdout.write(`${job.name}: lost, another worker ended run ${result.runId}\n`)
      return EXIT.failed
    default:
      return result satisfies never
  }
}
