import { listDeadLetters, type DeadLetter } from '@roundsman/engine/client'
import { onOneLine, wrap, type Layout } from '../command/layout.ts'
import { parseCommandLine, parseOptions } from '../command/parseOptions.ts'
import type { ProductSource } from '../command/product.ts'
import { UsageError, type Command, type Terminal } from '../command/runCommand.ts'
import { retryDeadLetter } from '../control/stepCommands.ts'
import { LIST_OPTIONS, showList } from './pages.ts'

const usage = (
  call: string,
  once: string,
) => `Usage: ${call} [--job NAME] [--key KEY] [--error CODE] [--limit N]
                                [--after POSITION] [--messages] [--json]
       ${call} retry <id> [--from failure|beginning|STEP [--item ITEM]] [--even-if-workers-died] --reason TEXT [--json]

Lists work that was given up, the latest first, with the error code of its last attempt. It stays until you retry or
discard it. retry gives it back to the queue; ${once} <job> --dead-letter ID makes one more attempt in this process.

  --job NAME         of this job only
  --key KEY          only work with this partition key
  --error CODE       with this error code only
  --limit N          how many to show, 1 to 1000; default 20
  --messages         show the messages of errors, which may hold parts of a payload
  --after POSITION   continue after this position, which the previous page printed
  --from             the steps of durable work to run again: the failed one (failure, if omitted), all (beginning), or
                     STEP and those that ended after it; beginning and STEP give them new keys
  --even-if-workers-died  also retry work that two or more workers have died of
  --reason TEXT      why, for the record
  --json             print one JSON object

Exit code: 0 success, 1 the environment or the database needs attention, 2 usage`

const RETRY_OPTIONS = {
  from: { type: 'string' },
  item: { type: 'string' },
  'even-if-workers-died': { type: 'boolean' },
  reason: { type: 'string' },
  json: { type: 'boolean' },
} as const

/** `once`: the command that runs a job, named in the output. */
export function createDeadLettersCommand(source: ProductSource & { once: string }): Command {
  return {
    usage: usage(source.call, source.once),
    async run(args, terminal) {
      if (args[0] !== 'retry') return await showDeadLetters(args, terminal, source)
      const { values, positionals } = parseCommandLine(args.slice(1), RETRY_OPTIONS)
      const [id, ...rest] = positionals
      if (rest.length > 0)
        throw new UsageError(`One dead letter at a time; "${rest.join(' ')}" is too much`)
      return await retryDeadLetter(id, { values, terminal, source })
    },
  }
}

async function showDeadLetters(
  args: string[],
  terminal: Terminal,
  source: ProductSource,
): Promise<number> {
  const values = parseOptions(args, { ...LIST_OPTIONS, key: { type: 'string' } })
  const { job: name, key, error: errorCode } = values
  const isNarrowed = [name, key, errorCode, values.after].some((one) => one !== undefined)
  return await showList(values, terminal, source, {
    name: 'deadLetters',
    async read(reader, page) {
      const found = await listDeadLetters(reader, { name, key, errorCode, ...page })
      const items = found.deadLetters.map(({ error: { code, message }, ...letter }) => ({
        ...letter,
        error: values.messages ? { code, message } : { code },
      }))
      return { items, next: found.next }
    },
    format: formatDeadLetters,
    none: () => (isNarrowed ? 'There is no such dead letter.' : 'There is no dead letter.'),
  })
}

type ShownLetter = Omit<DeadLetter, 'error'> & { error: { code: string; message?: string } }

function formatDeadLetters(
  deadLetters: readonly ShownLetter[],
  { width, paint }: Layout,
): string[] {
  return deadLetters.flatMap(({ workId, name, label, key, attempts, failedAt, error }) => [
    `${failedAt.slice(0, 19).replace('T', ' ')}  ${paint('bold', onOneLine(name))}${label === null ? '' : `  ${onOneLine(label)}`}`,
    paint(
      'dim',
      `  ${workId}  ${attempts === 1 ? '1 attempt' : `${attempts} attempts`}${key === null || key === '' ? '' : `  key ${onOneLine(key)}`}`,
    ),
    `  ${wrap(onOneLine([error.code, error.message].filter(Boolean).join(': ')), width - 2, 2)}`,
  ])
}
