import type { PreparedStatement } from './database.ts'

/** A prepared statement whose parameters have names. */
export interface NamedStatement extends PreparedStatement {
  /** In the order of their numbers. */
  parameters: readonly string[]
}

/** A parameter, but no cast such as `::text`. */
const PARAMETER = /(?<!:):([a-z][A-Za-z]*)/g

/** Makes a statement from a text with parameters such as `:name::text`. PostgreSQL gets numbers instead of names. */
export function prepared(name: string, text: string): NamedStatement {
  const parameters = [...new Set([...text.matchAll(PARAMETER)].map(([, one]) => one as string))]
  const toNumber = (_: string, one: string) => `$${parameters.indexOf(one) + 1}`
  return { name, text: text.replace(PARAMETER, toNumber), parameters }
}

/** The values of a statement's parameters in the order of their numbers. Other values are ignored. */
export function bind(
  { name, parameters }: NamedStatement,
  values: Readonly<Record<string, unknown>>,
): unknown[] {
  return parameters.map((parameter) => {
    if (!(parameter in values)) throw new Error(`${name} has no value for :${parameter}`)
    return values[parameter]
  })
}
