import {
  parseSync,
  type ArrayExpression,
  type Comment,
  type Expression,
  type ObjectExpression,
  type Program,
  type Span,
} from 'oxc-parser'

/** Text to put into a module, at a place in it. */
interface Insertion {
  at: number
  text: string
}

type Parsed = Program & { comments: Comment[] }

/** The module's names: what it imports and declares at its top level. */
export function topLevelNames(path: string, text: string): string[] {
  return parse(path, text).body.flatMap((statement) => {
    if (statement.type === 'ImportDeclaration') {
      return statement.specifiers.map(({ local }) => local.name)
    }
    const declaration =
      statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement
    if (declaration?.type === 'FunctionDeclaration') return declaration.id?.name ?? []
    if (declaration?.type !== 'VariableDeclaration') return []
    return declaration.declarations.flatMap(({ id }) => (id.type === 'Identifier' ? id.name : []))
  })
}

/**
 * The catalogue with a further job: imported, exported, and at the end of its list.
 * @throws Error when the module is not as it used to be
 */
export function addToCatalogue(path: string, text: string, name: string): string {
  const program = parse(path, text)
  const exported = program.body.find(
    (statement) => statement.type === 'ExportNamedDeclaration' && !statement.declaration,
  )
  const names = exported?.type === 'ExportNamedDeclaration' ? exported.specifiers : []
  const list = findArray(program, 'jobs')
  const lastName = names.at(-1)
  const lastJob = list?.elements.at(-1)
  if (!lastName || !lastJob) throw new Error(`${path} has no list "jobs", or exports no jobs`)
  return apply(text, [
    importInsertion(path, program, `import { ${name} } from './${name}.ts'`),
    { at: lastName.end, text: `, ${name}` },
    { at: lastJob.end, text: `, ${name}` },
  ])
}

/**
 * The handlers with that of a further job.
 * @throws Error when the module is not as it used to be
 */
export function addToHandlers(
  path: string,
  text: string,
  { imported, property, name }: { imported: string; property: string; name: string },
): string {
  const program = parse(path, text)
  const last = findReturnedObject(program, 'createHandlers')?.properties.at(-1)
  if (!last) throw new Error(`${path} has no createHandlers that returns the handlers`)
  return apply(text, [
    importInsertion(path, program, `import { ${imported} } from './${name}.ts'`),
    { at: last.end, text: `, ${property}` },
  ])
}

/**
 * A catalogue of definitions with a further one: above its list of jobs, and at the end of that.
 * @throws Error when the module is not as it used to be
 */
export function addDefinition(
  path: string,
  text: string,
  { name, definition }: { name: string; definition: string },
): string {
  const program = parse(path, text)
  const list = findDeclared(program, 'jobs')
  if (list?.value.type !== 'ArrayExpression') throw new Error(`${path} has no list "jobs"`)
  const last = list.value.elements.at(-1)
  return apply(text, [
    { at: commentedStart(program, list.statement), text: `${definition}\n` },
    last ? { at: last.end, text: `, ${name}` } : { at: list.value.start + 1, text: name },
  ])
}

/**
 * A module's object of handlers with a further one at its end.
 * @throws Error when the module is not as it used to be
 */
export function addHandler(path: string, text: string, property: string): string {
  const object = findDeclared(parse(path, text), 'handlers')?.value
  if (object?.type !== 'ObjectExpression') throw new Error(`${path} has no object "handlers"`)
  const last = object.properties.at(-1)
  if (!last) return apply(text, [{ at: object.start + 1, text: `\n${property},\n` }])
  // Behind the comma that may be there.
  const rest = /^\s*,/.exec(text.slice(last.end))?.[0] ?? ''
  return apply(text, [
    { at: last.end + rest.length, text: `${rest === '' ? ',' : ''}\n\n${property},` },
  ])
}

/** Where a statement begins with the comment that stands right above it. */
function commentedStart({ body, comments }: Parsed, statement: Span): number {
  const before = body.filter(({ end }) => end <= statement.start).at(-1)
  const comment = comments.find(
    ({ start, end }) => start >= (before?.end ?? 0) && end <= statement.start,
  )
  return comment?.start ?? statement.start
}

/** Where the import stands among those of the same folder, in alphabetical order. */
function importInsertion(path: string, program: Program, statement: string): Insertion {
  const target = sourceOf(statement)
  const siblings = program.body.filter(
    (node) => node.type === 'ImportDeclaration' && /^\.\/[^/]+$/.test(node.source.value),
  )
  const next = siblings.find(
    (node) => node.type === 'ImportDeclaration' && node.source.value > target,
  )
  if (next) return { at: next.start, text: `${statement}\n` }
  const last = siblings.at(-1)
  if (!last) throw new Error(`${path} imports nothing from its own folder`)
  return { at: last.end, text: `\n${statement}` }
}

function sourceOf(statement: string): string {
  return /'(.+)'/.exec(statement)?.[1] ?? ''
}

function findArray(program: Program, name: string): ArrayExpression | undefined {
  const value = findDeclared(program, name)?.value
  return value?.type === 'ArrayExpression' ? value : undefined
}

/** What an exported constant is or is made of, without `as const`, and the statement that declares it. */
function findDeclared(
  program: Program,
  name: string,
): { value: Expression; statement: Span } | undefined {
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    if (statement.declaration?.type !== 'VariableDeclaration') continue
    for (const { id, init } of statement.declaration.declarations) {
      if (id.type !== 'Identifier' || id.name !== name || !init) continue
      let value = init
      while (value.type === 'TSAsExpression' || value.type === 'TSSatisfiesExpression') {
        value = value.expression
      }
      // Such as withEngineJobs([…]).
      const [given] = value.type === 'CallExpression' ? value.arguments : []
      if (given?.type === 'ArrayExpression') value = given
      return { value, statement }
    }
  }
  return undefined
}

function findReturnedObject(program: Program, name: string): ObjectExpression | undefined {
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    const { declaration } = statement
    if (declaration?.type !== 'FunctionDeclaration' || declaration.id?.name !== name) continue
    for (const inner of declaration.body?.body ?? []) {
      if (inner.type === 'ReturnStatement' && inner.argument?.type === 'ObjectExpression') {
        return inner.argument
      }
    }
  }
  return undefined
}

function parse(path: string, text: string): Parsed {
  const { program, comments, errors } = parseSync(path, text)
  const [error] = errors
  if (error) throw new Error(`${path} does not parse: ${error.message}`)
  return { ...program, comments }
}

function apply(text: string, insertions: readonly Insertion[]): string {
  let changed = text
  for (const { at, text: added } of insertions.toSorted((a, b) => b.at - a.at)) {
    changed = `${changed.slice(0, at)}${added}${changed.slice(at)}`
  }
  return changed
}
