import { nearest } from '@roundsman/engine'
import { findLastActionOfJob, type EarlierAction } from '@roundsman/engine/internal'
import { currentUser } from '../command/currentUser.ts'
import { describeInstant } from '../command/describeInstant.ts'
import { onOneLine } from '../command/layout.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { parseCommandLine, requireReason } from '../command/parseOptions.ts'
import { ForeseenError, UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { refuseUnknownJob } from '../command/unknownJob.ts'

const usage = (call: string) => `Usage: ${call} pause <job> --reason TEXT [--json]
       ${call} resume <job> [--reason TEXT] [--json]

Pauses the queue of a job: no worker takes its work, retries included, until the queue is resumed. Runs under way
go on, and so does its schedule, whose ticks put work into the queue. Who paused or resumed it, and why, is recorded.

  --reason TEXT  why, for the record
  --json         print one JSON object

Exit code: 0 done, or nothing to do, 1 the environment or the database needs attention, 2 usage`

export function createQueueCommand(source: ProductSource): Command {
  return { usage: usage(source.call), run: (args, terminal) => change(args, terminal, source) }
}

async function change(args: string[], terminal: Terminal, source: ProductSource): Promise<number> {
  const { action, name, reason, asJson } = readArguments(args)
  const product = await source.open(terminal)
  const actor = currentUser()
  const { outcome, earlier } = await withClient(product, async (client) => {
    const changed =
      action === 'resume'
        ? await client.resumeQueue(name, { actor, ...(reason !== undefined && { reason }) })
        : await client.pauseQueue(name, { actor, reason: reason as string })
    const isLate = changed === 'alreadyPaused' || changed === 'notPaused'
    const kinds = [`${action}Queue`]
    return {
      outcome: changed,
      earlier: isLate ? await findLastActionOfJob(client.reader, name, kinds) : null,
    }
  })
  if (outcome === 'notFound') {
    refuseUnknownJob(name, product)
    throw new ForeseenError(`${name} has no queue yet: no worker has started with it`)
  }
  if (asJson) return print(terminal, { name, outcome, ...(earlier !== null && { earlier }) })
  const names = product.jobs.map((job) => job.name)
  const meant = names.includes(name) ? null : nearest(name, names)
  const words = {
    paused: `The queue of ${name} is paused.`,
    pausing: `The queue of ${name} is paused. A claim that began before has not finished within 5 s: it may still start work.`,
    pausedUnknown: `The queue of ${name} is paused. No worker and no work of ${name} is known yet${meant === null ? '.' : `: did you mean ${meant}?`} If the name is wrong, resume it.`,
    alreadyPaused: `The queue of ${name} was paused already.`,
    resumed: `The queue of ${name} is resumed.`,
    notPaused: `The queue of ${name} was not paused.`,
  }
  return print(terminal, [
    `${words[outcome]}${earlier === null ? '' : ` ${describeEarlier(earlier)}`}`,
  ])
}

function describeEarlier({ action, actor, at, reason }: EarlierAction): string {
  const did = action === 'pauseQueue' ? 'paused' : 'resumed'
  const why = reason === null || reason === '' ? '' : `: ${reason}`
  return onOneLine(`${actor} ${did} it at ${describeInstant(at)}${why}`)
}

function readArguments(args: string[]) {
  const { values, positionals } = parseCommandLine(args, {
    reason: { type: 'string' },
    json: { type: 'boolean' },
  })
  const [action, name, ...rest] = positionals
  if (action !== 'pause' && action !== 'resume') throw new UsageError('Expected pause or resume')
  if (name === undefined) throw new UsageError('Which job? Give its name')
  if (rest.length > 0) throw new UsageError(`One job at a time; "${rest.join(' ')}" is too much`)
  const { reason, json: asJson = false } = values
  if (action === 'pause') requireReason(reason)
  return { action, name, reason, asJson } as const
}
