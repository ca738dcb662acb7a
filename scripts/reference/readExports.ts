import { posix } from 'node:path'
import { parseSync, type Comment, type Declaration, type Program } from 'oxc-parser'

/** What an entry of a package exports under one name. */
export interface Exported {
  name: string
  /** The file and the name where it is declared. */
  origin: string
  isType: boolean
  /** The text of its docstring; empty without one. */
  doc: string
  /** Its declaration in one line, without its body; overloads are several. */
  code: string[]
  members: Member[]
}

/** A property or method of an interface, of an object type or of a class. */
interface Member {
  code: string
  doc: string
}

interface Module {
  text: string
  program: Program
  comments: readonly Comment[]
}

type ReadText = (path: string) => Promise<string>

/** Reads what a module exports, its own or from other modules of the package, in the order of its text. */
export async function readExports(path: string, readText: ReadText): Promise<Exported[]> {
  const module = await parse(path, readText)
  const exported: Exported[] = []
  for (const node of module.program.body) {
    if (node.type === 'ExportNamedDeclaration' && node.source) {
      const target = posix.join(posix.dirname(path), node.source.value)
      for (const { local, exported: as } of node.specifiers) {
        const found = await findExport(target, nameOf(local), readText)
        exported.push({ ...found, name: nameOf(as) })
      }
    } else if (node.type === 'ExportNamedDeclaration' && node.declaration) {
      const doc = docBefore(node.start, module)
      for (const declared of declarationsOf(node.declaration, module)) {
        const { name, isType } = declared
        const before = exported.find((one) => one.name === name && one.isType === isType)
        // The function that implements overloads is none of them.
        if (before && node.declaration.type === 'FunctionDeclaration') continue
        if (before) before.code.push(...declared.code)
        else exported.push({ ...declared, origin: `${path}#${name}`, doc })
      }
    } else if (node.type === 'ExportAllDeclaration' && node.source.value.startsWith('.')) {
      const target = posix.join(posix.dirname(path), node.source.value)
      exported.push(...(await readExports(target, readText)))
    } else if (node.type === 'ExportNamedDeclaration') {
      for (const { local, exported: as } of node.specifiers) {
        if (nameOf(as) === 'default') continue
        const found = await findLocal(path, nameOf(local), module, readText)
        exported.push({ ...found, name: nameOf(as) })
      }
    }
  }
  return exported
}

async function findExport(path: string, name: string, readText: ReadText): Promise<Exported> {
  // A name that comes from another package is all there is to tell.
  if (!path.endsWith('.ts'))
    return { name, origin: `${path}#${name}`, isType: false, doc: '', code: [name], members: [] }
  const found = (await readExports(path, readText)).find((one) => one.name === name)
  if (found === undefined) throw new Error(`${path} does not export ${name}`)
  return found
}

/** Finds what `export { name }` exports: a declaration or an import of the same file. */
async function findLocal(
  path: string,
  name: string,
  module: Module,
  readText: ReadText,
): Promise<Exported> {
  for (const node of module.program.body) {
    if (node.type === 'ImportDeclaration') {
      const imported = node.specifiers.find((one) => one.local.name === name)
      if (imported?.type !== 'ImportSpecifier') continue
      const target = posix.join(posix.dirname(path), node.source.value)
      return await findExport(target, nameOf(imported.imported), readText)
    }
    if (!isDeclaration(node)) continue
    const found = declarationsOf(node, module).find((one) => one.name === name)
    if (found) return { ...found, origin: `${path}#${name}`, doc: docBefore(node.start, module) }
  }
  throw new Error(`${path} exports ${name}, which it does not declare`)
}

async function parse(path: string, readText: ReadText): Promise<Module> {
  const text = await readText(path)
  const { program, comments, errors } = parseSync(path, text)
  const [error] = errors
  if (error) throw new Error(`${path} does not parse: ${error.message}`)
  return { text, program, comments }
}

const KINDS = [
  'FunctionDeclaration',
  'TSDeclareFunction',
  'ClassDeclaration',
  'VariableDeclaration',
  'TSInterfaceDeclaration',
  'TSTypeAliasDeclaration',
]

function isDeclaration(node: Program['body'][number]): node is Declaration & typeof node {
  return KINDS.includes(node.type)
}

/** The names that a statement declares, without bodies and private members. */
function declarationsOf(node: Declaration, module: Module): Omit<Exported, 'origin' | 'doc'>[] {
  const slice = (start: number, end: number) => inOneLine(module.text.slice(start, end))
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'TSDeclareFunction': {
      const { id, body, end } = node
      const code = slice(id?.start ?? node.start, body?.start ?? end)
      return [{ name: id?.name ?? '', isType: false, code: [code], members: [] }]
    }
    case 'ClassDeclaration': {
      const members = node.body.body.flatMap((member) => {
        if ('accessibility' in member && member.accessibility === 'private') return []
        if ('override' in member && member.override) return []
        const body =
          'value' in member && member.value && 'body' in member.value ? member.value.body : null
        const code = slice(member.start, body?.start ?? member.end)
        return [{ code, doc: docBefore(member.start, module) }]
      })
      const code = `class ${slice(node.id?.start ?? node.start, node.body.start)}`
      return [{ name: node.id?.name ?? '', isType: false, code: [code], members }]
    }
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ id, init, start, end }) => {
        if (id.type !== 'Identifier') return []
        const isFunction = init?.type === 'ArrowFunctionExpression'
        // Of a schema and its like, the type tells what it is.
        const isTold = id.typeAnnotation || (init && init.type !== 'Literal')
        const stop = isFunction ? init.body.start : isTold ? id.end : end
        const code = slice(start, stop).replace(/\s*(?:=>?)$/, '')
        return [{ name: id.name, isType: false, code: [code], members: [] }]
      })
    case 'TSInterfaceDeclaration': {
      const code = slice(node.id.start, node.body.start)
      return [
        { name: node.id.name, isType: true, code: [code], members: membersOf(node.body.body) },
      ]
    }
    case 'TSTypeAliasDeclaration': {
      const { id, typeAnnotation: type } = node
      const members = type.type === 'TSTypeLiteral' ? membersOf(type.members) : []
      const code = slice(id.start, members.length > 0 ? type.start - 2 : node.end)
      return [{ name: id.name, isType: true, code: [code], members }]
    }
    default:
      return []
  }

  function membersOf(nodes: readonly { start: number; end: number }[]): Member[] {
    return nodes.map(({ start, end }) => ({
      code: slice(start, end).replace(/[,;]$/, ''),
      doc: docBefore(start, module),
    }))
  }
}

/** Code without its comments and line breaks, and without what says nothing to a caller. */
function inOneLine(code: string): string {
  return code
    .replaceAll(/\/\*[^]*?\*\/|(?<=\s)\/\/.*/g, '')
    .replaceAll(/(?<=[\w\])}>'])\n\s*(?=[\w'[{(])(?!extends\b)/g, '; ')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/(?<=[([<]) | (?=[)\]>])/g, '')
    .replaceAll(/,(?= ?[)\]>}])|(?<== )\| |\breadonly (?=\w)/g, '')
    .trim()
}

/** The text of the docstring that ends right before a declaration. */
function docBefore(start: number, { text, comments }: Module): string {
  const comment = comments.findLast(({ end }) => end <= start)
  if (comment?.type !== 'Block' || !comment.value.startsWith('*')) return ''
  if (!/^\n[ ]*$/.test(text.slice(comment.end, start))) return ''
  return comment.value
    .slice(1)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim()
}

function nameOf(node: { type: string; name?: string; value?: unknown }): string {
  return node.name ?? String(node.value)
}
