import type { Database } from './inspectProduct.ts'

/** The place where the product exports its database client. */
export interface FoundClient {
  /** Relative to the root, or the name of the workspace's package that exports it. */
  path: string
  isOfPackage?: boolean
  /** Its exported name; `default` for a default export. */
  name: string
}

const MADE_BY: Record<Database, RegExp> = {
  prisma6: /\bnew PrismaClient\b/,
  prisma7: /\bnew PrismaClient\b/,
  drizzle: /\bdrizzle\(/,
  kysely: /\bnew Kysely\b/,
  knex: /\b[kK]nex\(/,
  pg: /\bnew (?:pg\.)?Pool\(/,
  postgres: /\bpostgres\(/,
}

/** Likely names of its file. */
const LIKELY =
  /(^|\/)(db|database|prisma|client|drizzle|kysely|knex|pool|sql|postgres)(\/index)?\.[cm]?ts$/i

/** Finds the one client that the product's files export. Null if there is none, or several that cannot be told apart. */
export function findClient(
  texts: ReadonlyMap<string, string>,
  database: Database,
): FoundClient | null {
  const found = [...texts]
    .filter(
      ([path, text]) =>
        !/\.(test|spec)\.|(^|\/)(tests?|scripts|seeds?|migrations)\//.test(path) && isInert(text),
    )
    .flatMap(([path, text]) => {
      const name = findExport(text, MADE_BY[database])
      return name === null ? [] : [{ path, name }]
    })
  if (found.length <= 1) return found[0] ?? null
  const likely = found.filter(({ path }) => LIKELY.test(path))
  return likely.length === 1 ? (likely[0] ?? null) : null
}

/** The worker imports this file, so a file that starts a server when it is imported is unsuitable. */
function isInert(text: string): boolean {
  return !/\.listen\(|\bserve\(/.test(text)
}

function findExport(text: string, madeBy: RegExp): string | null {
  const statements = text.split(/\n(?=\S)/)
  for (const statement of statements) {
    const [, isExported, name] =
      /^(export )?(?:const|let|var) (\w+)\b[^=]*=(?!>)/.exec(statement) ?? []
    if (name === undefined || !madeBy.test(statement) || isFunction(statement)) continue
    if (isExported) return name
    if (new RegExp(`^export default ${name}\\b`, 'm').test(text)) return 'default'
    const list = /^export \{([^}]*)\}/m.exec(text)?.[1] ?? ''
    const [, alias] = new RegExp(`\\b${name}(?: as (\\w+))?\\s*(?:,|$)`).exec(list.trim()) ?? []
    if (list.split(',').some((one) => one.trim().startsWith(name))) return alias ?? name
  }
  return null
}

/** Whether the export is a function: `export const open = () => new Pool()` creates a client at each call. */
function isFunction(statement: string): boolean {
  return /^[^=]*=\s*(?:async\s*)?(?:function\b|\([^)]*\)[^=]*=>|\w+\s*=>)/.test(statement)
}
