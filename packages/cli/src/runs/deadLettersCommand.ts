import { listDeadLetters, type DeadLetter } from '@roundsman/engine/client'
import { standardLayout, wrap, type Layout } from '../command/layout.ts'
import { parseOptions } from '../command/parseOptions.ts'
import type { ProductSource } from '../command/product.ts'
import type { Command, Terminal } from '../command/runCommand.ts'
import { formatPosition, parsePosition, readPages, refuseUnknownJob } from './pages.ts'

const usage = (
  call: string,
  once: string,
) => `Usage: ${call} [--job NAME] [--error CODE] [--limit N]
                                [--after POSITION] [--json]

Lists work that was given up, the latest first, with the error of its last attempt. It is kept until somebody redrives
or discards it, in the console; ${once} <job> --dead-letter ID makes one more attempt here and now.

  --job NAME         of this job only
  --error CODE       given up with this code
  --limit N          how many to show, 1 to 1000; default 20
  --after POSITION   those after the last one shown, as it says where there are more
  --json             print one JSON object

Exit code: 0 success, 1 the environment or the database needs attention, 2 usage`

/** `once`: the command that runs a job, named in the output. */
export function createDeadLettersCommand(source: ProductSource & { once: string }): Command {
  return {
    usage: usage(source.call, source.once),
    run: (args, terminal) => showDeadLetters(args, terminal, source),
  }
}

async function showDeadLetters(
  args: string[],
  terminal: Terminal,
  source: ProductSource,
): Promise<number> {
  const values = parseOptions(args, {
    job: { type: 'string' },
    error: { type: 'string' },
    limit: { type: 'string' },
    after: { type: 'string' },
    json: { type: 'boolean' },
  })
  const { job: name, error: errorCode } = values
  const after = parsePosition(values.after)
  const product = await source.open(terminal)
  const { items: deadLetters, next } = await readPages(
    values.limit,
    after,
    product,
    async (reader, page) => {
      const { deadLetters: items, next: more } = await listDeadLetters(reader, {
        name,
        errorCode,
        ...page,
      })
      return { items, next: more }
    },
  )
  if (deadLetters.length === 0) refuseUnknownJob(name, product)
  const position = next && formatPosition(next)
  if (values.json) {
    terminal.stdout.write(`${JSON.stringify({ deadLetters, next: position })}\n`)
    return 0
  }
  const layout = standardLayout(terminal.stdout)
  const lines =
    deadLetters.length === 0 ? ['There is no dead letter.'] : formatDeadLetters(deadLetters, layout)
  if (position !== null) lines.push('', layout.paint('dim', `More: --after ${position}`))
  terminal.stdout.write(`${lines.join('\n')}\n`)
  return 0
}

function formatDeadLetters(deadLetters: readonly DeadLetter[], { width, paint }: Layout): string[] {
  return deadLetters.flatMap(({ queueJobId, name, label, attempts, failedAt, error }) => [
    `${failedAt.slice(0, 19).replace('T', ' ')}  ${paint('bold', name)}${label === null ? '' : `  ${label}`}`,
    paint('dim', `  ${queueJobId}  ${attempts === 1 ? '1 attempt' : `${attempts} attempts`}`),
    `  ${wrap(`${error.code}: ${error.message}`.replaceAll(/\s+/g, ' '), width - 2, 2)}`,
  ])
}
