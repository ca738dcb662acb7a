import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadModule, parseSync } from 'libpg-query'
import { listStatements, type Statement } from './listStatements.ts'

/*
 * `for update`, `on conflict do update`, `update` and `delete` follow a row to its newest version. All else of the same statement
 * reads the tables as they were when it began. A statement that does both can combine a row of now with one of before.
 *
 * The parser is PostgreSQL's own (libpg-query, 1.8 MB of WebAssembly): a reader of our own would miss what we write next.
 */

/**
 * Reports statements that lock rows of one table at their newest version and read a second table beside them. One passes if its
 * comment names a test of the race, which exists: `Race: packages/engine/test/queue/a.test.ts "the name of the test"`.
 */
export async function checkStatements(root: string): Promise<readonly string[]> {
  const { statements, problems } = await listStatements(root)
  await loadModule()
  const found = await Promise.all(
    statements.map(async (statement) => {
      const races = findRaces(statement.text)
      return races.length === 0 ? [] : await checkRaces(root, statement, races)
    }),
  )
  return [...problems, ...new Set(found.flat())]
}

const RACE = /\bRace: (\S+\.test\.ts)[\s*/-]+"([^"\n]+)"/g

async function checkRaces(
  root: string,
  { path, line, name, about }: Statement,
  races: readonly string[],
): Promise<string[]> {
  const where = `${path}:${line}: ${name}`
  const named = [...about.matchAll(RACE)]
  if (named.length === 0) {
    return [
      `${where} has rows at their newest version beside what was there when it began: ${races.join('; ')}. Read the others by a later ` +
        'statement, or name a test of the race in its comment: Race: packages/….test.ts "name of the test"',
    ]
  }
  const problems = named.map(async ([, file = '', test = '']) => {
    const text = await readFile(join(root, file), 'utf8').catch(() => null)
    if (text === null) return [`${where} names ${file}, which does not exist`]
    const isThere = ["'", '"', '`'].some((quote) => text.includes(`${quote}${test}${quote}`))
    return isThere ? [] : [`${where} names the test "${test}", which is not in ${file}`]
  })
  return (await Promise.all(problems)).flat()
}

/** A node of PostgreSQL's parser. Parts with capital letters are nodes inside: `{ SelectStmt: { fromClause: […] } }`. */
type Tree = { [part: string]: unknown }

/** A query of a statement: what it locks and reads itself, and the queries with which it is joined. */
interface Query {
  locks: [table: string, how: string][]
  reads: Set<string>
  joined: Set<Query>
  /** False: it is the whole statement, without a `from`. It only sends on what queries inside of it answer. */
  hasRows: boolean
}

/**
 * Says which rows SQL locks at their newest version, and which tables it reads beside them. Queries of a statement belong together
 * if one is in the other or reads from it. Those that a plain `select` of the statement lists side by side do not.
 */
export function findRaces(sql: string): string[] {
  const { stmts } = parseSync(sql) as unknown as { stmts: Tree[] }
  const races = stmts.flatMap((statement) => {
    const queries: Query[] = []
    readQuery(statement['stmt'] as Tree, { queries, named: new Map() }, false)
    return queries.flatMap((query) => {
      const reads = [...withJoined(query)].flatMap((one) => [...one.reads])
      return query.locks.flatMap(([table, how]) => {
        const others = [...new Set(reads)].filter((name) => name !== table).toSorted()
        return others.length === 0 ? [] : [`${how} ${table} beside ${others.join(', ')}`]
      })
    })
  })
  return [...new Set(races)]
}

function withJoined(query: Query, found = new Set<Query>()): Set<Query> {
  if (!found.has(query)) {
    found.add(query)
    for (const one of query.joined) withJoined(one, found)
  }
  return found
}

interface Scope {
  queries: Query[]
  /** The queries of a `with`, by name. */
  named: Map<string, Query>
}

/** Reads a statement, or a query inside of one. */
function readQuery(tree: Tree, scope: Scope, hasRows = true): Query {
  const query: Query = { locks: [], reads: new Set(), joined: new Set(), hasRows }
  scope.queries.push(query)
  readPart(tree, query, scope)
  return query
}

function readPart(part: unknown, query: Query, scope: Scope): void {
  if (Array.isArray(part)) return part.forEach((one) => readPart(one, query, scope))
  if (typeof part !== 'object' || part === null) return
  const { withClause, ...others } = part as Tree
  // First, since all else may name its queries.
  readPart(withClause, query, scope)
  for (const [kind, value] of Object.entries(others)) {
    if (typeof value === 'object' && value !== null) readNode(kind, value as Tree, query, scope)
  }
}

function readNode(kind: string, node: Tree, query: Query, scope: Scope): void {
  switch (kind) {
    case 'CommonTableExpr':
      // In a query of its own, which may name itself.
      scope.named.set(node['ctename'] as string, query)
      scope.named.set(node['ctename'] as string, readQuery(node['ctequery'] as Tree, scope))
      return
    case 'RangeVar':
      return readTable(node, query, scope)
    case 'RangeSubselect':
      return joinQueries(query, readQuery(node['subquery'] as Tree, scope))
    case 'SubLink': {
      const own = readQuery(node['subselect'] as Tree, scope)
      if (query.hasRows) joinQueries(query, own)
      return readPart(node['testexpr'], query, scope)
    }
    case 'UpdateStmt':
    case 'DeleteStmt':
      query.hasRows = true
      readTable(node['relation'] as Tree, query, scope, kind === 'UpdateStmt' ? 'update' : 'delete')
      break
    case 'InsertStmt': {
      const conflict = node['onConflictClause'] as Tree | undefined
      query.hasRows ||= conflict !== undefined
      if (conflict?.['action'] === 'ONCONFLICT_UPDATE')
        readTable(node['relation'] as Tree, query, scope, 'on conflict do update')
      break
    }
    case 'SelectStmt':
    // Of a union.
    case 'larg':
    case 'rarg':
      query.hasRows ||= node['fromClause'] !== undefined
      lockTables(node, query, scope)
      break
  }
  // A table that an insert fills is not read.
  const { relation: _, lockingClause: __, ...parts } = node
  readPart(kind.endsWith('Stmt') ? parts : node, query, scope)
}

/** Notes a table that is read, and locked where `how` says so. A name of a `with` is the query behind it. */
function readTable(table: Tree, query: Query, { named }: Scope, how?: string): void {
  const name = table['relname'] as string
  const other = table['schemaname'] === undefined ? named.get(name) : undefined
  if (other !== undefined) return joinQueries(query, other)
  query.reads.add(name)
  if (how !== undefined) query.locks.push([name, how])
}

/** Notes what `for update` and the like lock: all tables of the `from`, or those that it names. */
function lockTables(select: Tree, query: Query, scope: Scope): void {
  const clauses = [...nodesOf('LockingClause', select['lockingClause'])]
  for (const { strength, lockedRels } of clauses) {
    const names = [...nodesOf('RangeVar', lockedRels)].map(({ relname }) => relname)
    for (const table of nodesOf('RangeVar', select['fromClause'])) {
      if (names.length === 0 || names.includes(aliasOf(table)))
        readTable(table, query, scope, LOCKS[strength as string])
    }
  }
}

const LOCKS: Readonly<Record<string, string>> = {
  LCS_FORUPDATE: 'for update',
  LCS_FORNOKEYUPDATE: 'for no key update',
  LCS_FORSHARE: 'for share',
  LCS_FORKEYSHARE: 'for key share',
}

function aliasOf(node: Tree): string {
  const { aliasname } = (node['alias'] ?? {}) as Tree
  return (aliasname ?? node['relname'] ?? '') as string
}

/** All nodes of a kind in a part of a statement. */
function* nodesOf(kind: string, part: unknown): Generator<Tree> {
  if (typeof part !== 'object' || part === null) return
  for (const [name, value] of Object.entries(part)) {
    if (name === kind) yield value as Tree
    yield* nodesOf(kind, value)
  }
}

function joinQueries(one: Query, other: Query): void {
  one.joined.add(other)
  other.joined.add(one)
}
