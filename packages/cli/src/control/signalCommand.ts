import { randomUUID } from 'node:crypto'
import { defineSignal, JobError } from '@roundsman/engine'
import { findSignal } from '@roundsman/engine/internal'
import { currentUser } from '../command/currentUser.ts'
import { parseCommandLine, requireReason } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { withClient, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Command } from '../command/runCommand.ts'
import { parseJson } from './stepCommands.ts'

const usage = (
  call: string,
) => `Usage: ${call} <name> --key KEY [--payload JSON] [--id ID] --reason TEXT [--json]

Sends a signal by hand, and records who sent it, and why. It ends one wait with its name and key, the oldest, also one
that begins within 30 days. Where a step of a job declares the signal, its schema checks the payload.

  --key KEY       which wait it is for, such as the id of an order
  --payload JSON  what the handler gets, and not null; default {}
  --id ID         a second signal with this id changes nothing; default one of its own
  --reason TEXT   why, for the record
  --json          print one JSON object

Exit code: 0 success, 1 the environment, the database or the payload needs attention, 2 usage`

const OPTIONS = {
  key: { type: 'string' },
  payload: { type: 'string' },
  id: { type: 'string' },
  reason: { type: 'string' },
  json: { type: 'boolean' },
} as const

export function createSignalCommand(source: ProductSource): Command {
  return {
    usage: usage(source.call),
    async run(args, terminal) {
      const { values, positionals } = parseCommandLine(args, OPTIONS)
      const [name, ...rest] = positionals
      if (name === undefined || rest.length > 0)
        throw new UsageError('Which signal? Give its name, and nothing else')
      const { key, id = randomUUID(), json } = values
      if (key === undefined) throw new UsageError('--key is missing: which wait is it for?')
      const payload = parseJson('--payload', values.payload ?? '{}')
      const by = { actor: currentUser(), reason: requireReason(values.reason) }
      const product = await source.open(terminal)
      const signal = findSignal(product.jobs, name) ?? defineSignal({ name })
      const outcome = await withClient(product, (client) =>
        client.signalNow(signal, { key, id, payload, ...by }),
      ).catch((error: unknown) => {
        if (error instanceof JobError) throw new ForeseenError(error.message)
        throw error
      })
      if (json) return print(terminal, { signal: name, key, id, outcome })
      const isStored = outcome === 'stored'
      return print(terminal, [
        isStored ? 'The signal is sent.' : `Nothing changes: a signal with the id ${id} was sent.`,
      ])
    },
  }
}
