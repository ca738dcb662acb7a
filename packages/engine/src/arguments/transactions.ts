import { inspect } from 'node:util'
import { ArgumentError } from '../values/argument.ts'

/*
 * Clients and transactions of the host's library, which `callersTransaction.ts` recognises.
 */

/** The error about a value that belongs to no supported library. */
export function refuseHost(argument: string, given: unknown): ArgumentError {
  return new ArgumentError(
    argument,
    `cannot be used: ${describe(given)} is no client or transaction that can carry statements: give one of Prisma, Drizzle (node-postgres or postgres.js), Kysely, Knex, pg or postgres.js`,
  )
}

/** The error about a client instead of a transaction. `otherwise`: the call to use without a transaction. */
export function refuseClient(clientName: string, otherwise: string): ArgumentError {
  return new ArgumentError(
    'tx',
    `is ${clientName}, which is in no transaction: pass the transaction, or ${otherwise}`,
  )
}

function describe(given: unknown): string {
  if (typeof given !== 'object' || given === null) return inspect(given, { maxStringLength: 20 })
  try {
    const name = (given.constructor as { name?: unknown } | undefined)?.name
    const keys = Object.keys(given).slice(0, 5).join(', ')
    return `An object of ${typeof name === 'string' ? name : 'no class'} with { ${keys} }`
  } catch {
    return 'What was given'
  }
}
