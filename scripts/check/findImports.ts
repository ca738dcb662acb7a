import { parseSync, Visitor, type Argument, type CallExpression, type Expression } from 'oxc-parser'

export interface FoundImport {
  /** The imported name; of a computed one the part before the first computed piece, which may be empty. */
  specifier: string
  /** Whether nothing of it remains once the types are stripped. */
  isTypeOnly: boolean
  /** Whether the specifier is only known when the program runs. */
  isComputed: boolean
  /** Whether the file exports it on: `export … from`. */
  isReExport: boolean
  line: number
}

/**
 * Finds all by which a module names another one: import and export declarations, import types, `import()`, `import x =
 * require()`, `require()` under whatever name createRequire gave it, and the resolve functions of both.
 * @throws Error when the text does not parse
 */
export function findImports(path: string, text: string): FoundImport[] {
  const { program, errors } = parseSync(path, text)
  const [error] = errors
  if (error) throw new Error(`does not parse: ${error.message}`)

  const found: FoundImport[] = []
  const add = (source: Argument, isTypeOnly = false, isReExport = false) => {
    const { specifier, isComputed } = readSpecifier(source)
    const line = text.slice(0, source.start).split('\n').length
    found.push({ specifier, isTypeOnly, isComputed, isReExport, line })
  }
  const requires = findRequires(program)
  new Visitor({
    ImportDeclaration: (node) => add(node.source, node.importKind === 'type'),
    ExportAllDeclaration: (node) => add(node.source, node.exportKind === 'type', true),
    ExportNamedDeclaration: (node) =>
      node.source && add(node.source, node.exportKind === 'type', true),
    TSImportType: (node) => add(node.source, true),
    TSExternalModuleReference: (node) => add(node.expression),
    ImportExpression: (node) => add(node.source),
    CallExpression: (node) => {
      const [argument] = node.arguments
      if (argument && loadsModule(node, requires)) add(argument)
    },
  }).visit(program)
  return found.toSorted((a, b) => a.line - b.line)
}

/** The names that stand for require in this module. */
function findRequires(program: Parameters<Visitor['visit']>[0]): Set<string> {
  const names = new Set(['require'])
  new Visitor({
    VariableDeclarator: ({ id, init }) => {
      if (id.type === 'Identifier' && init && isCreateRequire(init)) names.add(id.name)
    },
  }).visit(program)
  return names
}

/** `require(…)`, `require.resolve(…)`, `createRequire(…)(…)`, `createRequire(…).resolve(…)`, `import.meta.resolve(…)` */
function loadsModule({ callee }: CallExpression, requires: ReadonlySet<string>): boolean {
  const isRequire = (node: Expression) =>
    (node.type === 'Identifier' && requires.has(node.name)) || isCreateRequire(node)
  if (isRequire(callee)) return true
  if (callee.type !== 'MemberExpression' || callee.computed) return false
  const { object, property } = callee
  return property.name === 'resolve' && (object.type === 'MetaProperty' || isRequire(object))
}

/** Whether this is `createRequire(…)`, also as a member of its module. */
function isCreateRequire(node: Expression): boolean {
  if (node.type !== 'CallExpression') return false
  const { callee } = node
  if (callee.type === 'Identifier') return callee.name === 'createRequire'
  return (
    callee.type === 'MemberExpression' &&
    !callee.computed &&
    callee.property.name === 'createRequire'
  )
}

function readSpecifier(node: Argument): Pick<FoundImport, 'specifier' | 'isComputed'> {
  if (node.type === 'Literal' && typeof node.value === 'string') {
    return { specifier: node.value, isComputed: false }
  }
  if (node.type === 'TemplateLiteral') {
    const specifier = node.quasis[0]?.value.cooked ?? ''
    return { specifier, isComputed: node.expressions.length > 0 }
  }
  return { specifier: '', isComputed: true }
}
