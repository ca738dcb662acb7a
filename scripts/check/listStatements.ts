// Lists the SQL of the engine as PostgreSQL gets it, without a database: `node scripts/check/listStatements.ts` prints it as text, and for a root as JSON.
//
// It loads each module of packages/engine/src in a copy that notes what its templates with SQL become. What is only put together
// when a function is called it evaluates by itself: local constants by what defines them, all else as a value that reads `unknown`.
// A piece of SQL that is neither a statement nor a part of one that is listed is a problem, so that none is passed over.
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { loadModule, parseSync as parseSql } from 'libpg-query'
import { parseSync, type Comment, type Node } from 'oxc-parser'

export interface Statement {
  path: string
  line: number
  /** The module's constant or function that has it. */
  name: string
  /** The comments above it, and its own source. */
  about: string
  /** With the names of the schema `roundsman`. */
  text: string
}

export interface StatementList {
  statements: Statement[]
  problems: string[]
}

/** Lists them in a process of its own, which is to load no other copy of these modules. */
export async function listStatements(root: string): Promise<StatementList> {
  const { stdout } = await promisify(execFile)(process.execPath, [import.meta.filename, root], {
    maxBuffer: 64 * 1024 * 1024,
  })
  return JSON.parse(stdout) as StatementList
}

const SOURCES = 'packages/engine/src'
/** Distinguishes SQL from other texts. The engine writes keywords in small letters. */
const IS_SQL =
  /\bselect\s|\binsert into\b|\bupdate "|\bdelete from\b|\bfor (?:no key )?update\b|\bfor (?:key )?share\b|\bskip locked\b|\bon conflict\b|\bwith \w+ as\b|\b(?:from|join|using) "/

/** Calls that put pieces together which nothing else puts together here, by module. */
const CALLS: Readonly<Record<string, readonly string[]>> = {
  'control/pruneJobRuns.ts': [
    'oldRowsAt(new Date(0), { runDays: 1, failedDays: 1, actionDays: 1, keyedTickDays: 1 }).map(removeSql)',
  ],
  'control/actOnMany.ts': [
    ...['cancelWork', 'discard', 'cancel'].map(
      (kind) =>
        `findSource(UNKNOWN, { kind: '${kind}', wanted: { runs: {} } }, undefined, { transaction: 1, after: null }, String).then((source) => nextSql(source, '$1'))`,
    ),
  ],
  'read/listKeyedSchedules.ts': [
    `new Promise((done) => void listKeyedSchedules({ rows: (one) => (done(one), []) }, { limit: 1, name: 'a', search: 'a', state: 'late', after: { name: 'a', key: 'a' } }))`,
  ],
  'read/jobRuns.ts': [`jobRunsQuery({ status: 'running', limit: 1 })`],
}
/** Texts that only look like SQL. */
const NO_SQL = [/^vacuum .*, and see what autovacuum is busy with/, /^\(select \$&\)$/]

interface Piece extends Omit<Statement, 'text'> {
  /** Whether it has SQL of its own, and does not just call what makes it. */
  hasSql: boolean
  texts: Set<string>
}

/** What is not known before a call: whatever is done with it, it reads `unknown`. */
const UNKNOWN: unknown = new Proxy(() => undefined, {
  get: (_, name) => {
    if (name === 'then') return undefined
    if (name === Symbol.toPrimitive) return () => 'unknown'
    if (name === Symbol.iterator) return () => [UNKNOWN].values()
    return UNKNOWN
  },
  apply: () => UNKNOWN,
  construct: () => UNKNOWN as object,
})

async function list(root: string): Promise<StatementList> {
  const pieces = new Map<string, Piece>()
  const problems: string[] = []
  const note = (id: string, value: unknown) => {
    const text = typeof value === 'string' ? value : (value as { text?: unknown } | null)?.text
    if (typeof text === 'string') pieces.get(id)?.texts.add(text)
    return value
  }
  Object.assign(globalThis, { noteSql: note, UNKNOWN })
  const folder = join(root, SOURCES)
  registerHooks({
    load(url, context, next) {
      const path = url.startsWith('file:') ? fileURLToPath(url) : ''
      if (!path.startsWith(folder)) return next(url, context)
      const source = rewrite(relative(root, path), readFileSync(path, 'utf8'), pieces)
      return { format: 'module-typescript', source, shortCircuit: true }
    },
  })

  const evaluate: (readonly [id: string, make: (...given: unknown[]) => unknown])[] = []
  const programs = readPrograms(root)
  let sql = (text: string) => text
  let numbered = (text: string) => text
  for (const path of globSync('**/*.ts', { cwd: folder }).toSorted()) {
    if (programs.has(path)) continue
    const loaded = (await import(pathToFileURL(join(folder, path)).href)) as Rewritten
    sql = loaded.createSchema?.('roundsman').sql ?? sql
    const { prepared } = loaded
    if (prepared !== undefined) numbered = (text) => prepared('', text).text
    for (const call of loaded.callsOfSql) await call()
    evaluate.push(...Object.entries(loaded.partsOfSql))
  }
  for (const [id, make] of evaluate) {
    if (pieces.get(id)?.texts.size !== 0) continue
    try {
      note(id, make())
    } catch {
      // Its local constants demand what is unknown.
      note(id, make(...Array.from({ length: 99 }, () => UNKNOWN)))
    }
  }

  await loadModule()
  const all = [...pieces.values()].flatMap(({ path, line, name, about, texts }) =>
    [...texts].map((text) => ({ path, line, name, about, text })),
  )
  const whole = all.filter(({ text }) => isStatement(numbered(text)))
  const areWhole = new Set(whole.map(({ text }) => text))
  const isPart = (text: string) => whole.some((one) => one.text !== text && one.text.includes(text))
  for (const { path, line, texts, hasSql } of pieces.values()) {
    const isListed = [...texts].some((text) => areWhole.has(text) || isPart(text))
    const isText = [...texts].some((text) => NO_SQL.some((one) => one.test(text)))
    if (hasSql && !isListed && !isText) {
      problems.push(
        `${path}:${line}: looks like SQL, and is neither a statement nor a part of one that is known here: see CALLS of scripts/check/listStatements.ts`,
      )
    }
  }
  const statements = new Map(
    whole
      .filter(({ text }) => !isPart(text))
      .map((one) => [`${one.path} ${one.text}`, { ...one, text: sql(numbered(one.text)) }]),
  )
  return { statements: [...statements.values()], problems }
}

function isStatement(text: string): boolean {
  try {
    parseSql(text)
    return true
  } catch {
    return false
  }
}

/** The modules that act when they are imported. */
function readPrograms(root: string): Set<string> {
  const manifest = JSON.parse(readFileSync(join(root, SOURCES, '../package.json'), 'utf8')) as {
    sideEffects?: string[]
  }
  return new Set(
    manifest.sideEffects?.map((path) => path.replace('./dist/', '').replace('.js', '.ts')),
  )
}

interface Rewritten {
  createSchema?: (name: string) => { sql(text: string): string }
  prepared?: (name: string, text: string) => { text: string }
  callsOfSql: (() => unknown)[]
  partsOfSql: Record<string, (...given: unknown[]) => unknown>
}

/** Makes a module note what its pieces of SQL become, and export what makes each of them. */
function rewrite(path: string, source: string, pieces: Map<string, Piece>): string {
  if (!IS_SQL.test(source) && !source.includes('.query(')) {
    return `${source}\nexport const callsOfSql = []\nexport const partsOfSql = {}\n`
  }
  const { program, comments } = parseSync(path, source)
  const known = new Set(program.body.flatMap(namesOf))
  const textOf = ({ start, end }: Node) => source.slice(start, end)
  const found: Found[] = []
  const identifiers: { name: string; start: number }[] = []
  const locals: (Found & { name: string })[] = []
  walk(program, [], (node, above) => {
    if (isSql(node) || isComposed(node, above.at(-1))) found.push({ node, above: [...above] })
    if (node.type === 'Identifier') identifiers.push(node)
    if (node.type === 'VariableDeclarator' && node.id.type === 'Identifier' && node.init)
      locals.push({ name: node.id.name, node: node.init, above: [...above] })
  })

  /** Parameters for what a piece needs beyond the module's names. Local constants get their definitions. */
  const parametersOf = (piece: Found) => {
    const parameters = new Map<string, string>()
    const add = ({ start, end }: Node) => {
      for (const { name, start: at } of identifiers) {
        if (at < start || at >= end || parameters.has(name) || known.has(name)) continue
        if (name in globalThis) continue
        const local = locals.findLast(
          (one) =>
            one.name === name &&
            one.node.end <= piece.node.start &&
            piece.above.includes(one.above.findLast(isFunction) as Node) &&
            !/\bawait\b/.test(textOf(one.node)),
        )
        // Moved behind those that it needs itself.
        parameters.set(name, '')
        if (local !== undefined) add(local.node)
        parameters.delete(name)
        parameters.set(name, local === undefined ? 'UNKNOWN' : textOf(local.node))
      }
    }
    add(piece.node)
    return [...parameters].map(([name, value]) => `${name}: any = ${value}`).join(', ')
  }

  const marks: { at: number; end: number; text: string }[] = []
  const parts: string[] = []
  for (const piece of found) {
    const { node, above } = piece
    const id = `${path}:${node.start}`
    pieces.set(id, {
      path,
      line: source.slice(0, node.start).split('\n').length,
      name: namesOf(above[1] as Node)[0] ?? '',
      about: [...above.map(({ start }) => commentAbove(source, comments, start)), textOf(node)]
        .filter((text) => text !== '')
        .join('\n'),
      hasSql: isSql(node),
      texts: new Set(),
    })
    marks.push({ at: node.start, end: node.end, text: `noteSql(${JSON.stringify(id)}, ` })
    marks.push({ at: node.end, end: 0, text: ')' })
    parts.push(`${JSON.stringify(id)}: (${parametersOf(piece)}) => (${textOf(node)})`)
  }
  let text = source
  // From behind, so that places stay; of pieces that begin together, the outer one comes first.
  for (const mark of marks.toSorted((a, b) => b.at - a.at || a.end - b.end))
    text = text.slice(0, mark.at) + mark.text + text.slice(mark.at)
  const calls = CALLS[path.slice(SOURCES.length + 1)]?.map((call) => `() => ${call}`) ?? []
  return [
    text,
    `export const callsOfSql = [${calls.join(', ')}]`,
    `export const partsOfSql: any = { ${parts.join(',\n')} }`,
  ].join('\n')
}

interface Found {
  node: Node
  /** What it is in, from the module on. */
  above: readonly Node[]
}

/** `visit` gets what a node is in, from the module on, in an array that changes behind it. */
function walk(
  node: Node,
  above: Node[],
  visit: (node: Node, above: readonly Node[]) => void,
): void {
  visit(node, above)
  above.push(node)
  for (const value of Object.values(node) as unknown[]) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof one === 'object' && one !== null && 'type' in one) walk(one as Node, above, visit)
    }
  }
  above.pop()
}

function isSql(node: Node): boolean {
  if (node.type === 'TemplateLiteral')
    return node.quasis.some(({ value }) => IS_SQL.test(value.raw))
  return node.type === 'Literal' && typeof node.value === 'string' && IS_SQL.test(node.value)
}

/** Whether a function makes this statement for a query. */
function isComposed(node: Node, parent: Node | undefined): boolean {
  if (node.type !== 'CallExpression' || parent?.type !== 'CallExpression') return false
  const { callee } = parent
  return (
    parent.arguments[0] === node &&
    callee.type === 'MemberExpression' &&
    callee.property.type === 'Identifier' &&
    callee.property.name === 'query'
  )
}

function isFunction({ type }: Node): boolean {
  return /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(type)
}

/** The names that a statement of a module gives to it. */
function namesOf(node: Node): string[] {
  switch (node.type) {
    case 'ImportDeclaration':
      return node.specifiers.map(({ local }) => local.name)
    case 'ExportNamedDeclaration':
      return node.declaration ? namesOf(node.declaration) : []
    case 'FunctionDeclaration':
    case 'ClassDeclaration':
      return node.id ? [node.id.name] : []
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? [id.name] : []))
    default:
      return []
  }
}

/** The comments that end where this begins. */
function commentAbove(source: string, comments: readonly Comment[], start: number): string {
  const above = comments.findLast(
    ({ end }) => end <= start && source.slice(end, start).trim() === '',
  )
  if (above === undefined) return ''
  return `${commentAbove(source, comments, above.start)}\n${above.value}`.trim()
}

if (import.meta.main) {
  const root = process.argv[2]
  const listed = await list(resolve(root ?? join(import.meta.dirname, '../..')))
  const toText = ({ path, line, name, text }: Statement) =>
    `-- ${path}:${line} ${name}\n${text.trim()};\n`
  process.stdout.write(
    root === undefined ? listed.statements.map(toText).join('\n') : JSON.stringify(listed),
  )
}
