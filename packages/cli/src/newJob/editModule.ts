import { parseSync, type ESTree, type ParseResult } from 'rolldown/utils'

type Program = ESTree.Program
type Span = ESTree.Span

/** Text to insert into a module, and where. */
interface Insertion {
  at: number
  text: string
}

type Parsed = Program & Pick<ParseResult, 'comments'>

/** The names that a module imports or declares at its top level. */
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
 * Adds a definition above a catalogue's list of jobs, and the job at the end of that list.
 * @throws Error when the module does not look as expected
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
 * Adds a handler at the end of a module's object of handlers.
 * @throws Error when the module does not look as expected
 */
export function addHandler(path: string, text: string, property: string): string {
  const object = findDeclared(parse(path, text), 'handlers')?.value
  if (object?.type !== 'ObjectExpression') throw new Error(`${path} has no object "handlers"`)
  const last = object.properties.at(-1)
  if (!last) return apply(text, [{ at: object.start + 1, text: `\n${property},\n` }])
  // After the comma, if there is one.
  const rest = /^\s*,/.exec(text.slice(last.end))?.[0] ?? ''
  return apply(text, [
    { at: last.end + rest.length, text: `${rest === '' ? ',' : ''}\n\n${property},` },
  ])
}

/** Where a statement begins, with the comment right above it. */
function commentedStart({ body, comments }: Parsed, statement: Span): number {
  const before = body.filter(({ end }) => end <= statement.start).at(-1)
  const comment = comments.find(
    ({ start, end }) => start >= (before?.end ?? 0) && end <= statement.start,
  )
  return comment?.start ?? statement.start
}

/** The value of an exported constant, without `as const` or a call around it, and the statement that declares it. */
function findDeclared(
  program: Program,
  name: string,
): { value: ESTree.Expression; statement: Span } | undefined {
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration') continue
    if (statement.declaration?.type !== 'VariableDeclaration') continue
    for (const { id, init } of statement.declaration.declarations) {
      if (id.type !== 'Identifier' || id.name !== name || !init) continue
      let value = init
      while (value.type === 'TSAsExpression' || value.type === 'TSSatisfiesExpression') {
        value = value.expression
      }
      // A call such as withEngineJobs([…]).
      const [given] = value.type === 'CallExpression' ? value.arguments : []
      if (given?.type === 'ArrayExpression') value = given
      return { value, statement }
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
