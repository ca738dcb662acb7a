import { posix } from 'node:path'
import { parseSync, type Comment, type Declaration, type Program } from 'oxc-parser'

/** What an entry of a package exports under one name. */
export interface Exported {
  name: string
  /** The file and the name where it is declared. */
  origin: string
  /** The text of its docstring; empty without one. */
  doc: string
  /** Its declaration, without its body. */
  code: string
}

interface Module {
  text: string
  program: Program
  comments: readonly Comment[]
}

type ReadText = (path: string) => Promise<string>

/** Reads what a module exports, its own or from other modules of the package, in the order of its text. */
export async function readExports(path: string, readText: ReadText): Promise<Exported[]> {
  const { text, program, comments } = await parse(path, readText)
  const exported: Exported[] = []
  for (const node of program.body) {
    if (node.type === 'ExportNamedDeclaration' && node.source) {
      const target = posix.join(posix.dirname(path), node.source.value)
      for (const { local, exported: as } of node.specifiers) {
        const found = await findExport(target, nameOf(local), readText)
        exported.push({ ...found, name: nameOf(as) })
      }
    } else if (node.type === 'ExportNamedDeclaration' && node.declaration) {
      const doc = docBefore(node.start, text, comments)
      for (const { name, code } of declarationsOf(node.declaration, text)) {
        const before = exported.find((one) => one.name === name)
        const isOverloaded = before?.code.startsWith('function') && code.startsWith('function')
        // The function that implements overloads is none of them. A type may have the name of a value.
        if (isOverloaded && node.declaration.type === 'FunctionDeclaration') continue
        if (before) before.code += `\n\n${code}`
        else exported.push({ name, origin: `${path}#${name}`, doc, code })
      }
    } else if (node.type === 'ExportAllDeclaration' && node.source.value.startsWith('.')) {
      const target = posix.join(posix.dirname(path), node.source.value)
      exported.push(...(await readExports(target, readText)))
    } else if (node.type === 'ExportNamedDeclaration') {
      for (const { local, exported: as } of node.specifiers) {
        if (nameOf(as) === 'default') continue
        const found = await findLocal(path, nameOf(local), { text, program, comments }, readText)
        exported.push({ ...found, name: nameOf(as) })
      }
    }
  }
  return exported
}

async function findExport(path: string, name: string, readText: ReadText): Promise<Exported> {
  // A name that comes from another package is all there is to tell.
  if (!path.endsWith('.ts')) return { name, origin: `${path}#${name}`, doc: '', code: name }
  const found = (await readExports(path, readText)).find((one) => one.name === name)
  if (found === undefined) throw new Error(`${path} does not export ${name}`)
  return found
}

/** Finds what `export { name }` exports: a declaration or an import of the same file. */
async function findLocal(
  path: string,
  name: string,
  { text, program, comments }: Module,
  readText: ReadText,
): Promise<Exported> {
  for (const node of program.body) {
    if (node.type === 'ImportDeclaration') {
      const imported = node.specifiers.find((one) => one.local.name === name)
      if (imported?.type !== 'ImportSpecifier') continue
      const target = posix.join(posix.dirname(path), node.source.value)
      return await findExport(target, nameOf(imported.imported), readText)
    }
    if (!isDeclaration(node)) continue
    const [found] = declarationsOf(node, text).filter((one) => one.name === name)
    if (found) {
      const doc = docBefore(node.start, text, comments)
      return { name, origin: `${path}#${name}`, doc, code: found.code }
    }
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

/** The names that a statement declares, each with its declaration, without bodies and private members. */
function declarationsOf(node: Declaration, text: string): { name: string; code: string }[] {
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'TSDeclareFunction': {
      const end = node.body?.start ?? node.end
      return [
        {
          name: node.id?.name ?? '',
          code: text
            .slice(node.start, end)
            .trim()
            .replace(/^async /, ''),
        },
      ]
    }
    case 'ClassDeclaration': {
      const head = text.slice(node.start, node.body.start).trim()
      const members = node.body.body.flatMap((member) => {
        if ('accessibility' in member && member.accessibility === 'private') return []
        const body =
          'value' in member && member.value && 'body' in member.value ? member.value.body : null
        return [`  ${text.slice(member.start, body?.start ?? member.end).trim()}`]
      })
      return [{ name: node.id?.name ?? '', code: `${head} {\n${members.join('\n')}\n}` }]
    }
    case 'VariableDeclaration':
      return node.declarations.flatMap(({ id, init, start, end }) => {
        if (id.type !== 'Identifier') return []
        const isFunction = init?.type === 'ArrowFunctionExpression'
        const stop = isFunction ? init.body.start : id.typeAnnotation && init ? init.start : end
        const code = text
          .slice(start, stop)
          .trim()
          .replace(/\s*(?:=>?)$/, '')
        return [{ name: id.name, code: `${node.kind} ${code}` }]
      })
    case 'TSInterfaceDeclaration':
    case 'TSTypeAliasDeclaration':
      return [{ name: node.id.name, code: text.slice(node.start, node.end) }]
    default:
      return []
  }
}

/** The text of the docstring that ends right before a declaration. */
function docBefore(start: number, text: string, comments: readonly Comment[]): string {
  const comment = comments.findLast(({ end }) => end <= start)
  if (comment?.type !== 'Block' || !comment.value.startsWith('*')) return ''
  if (text.slice(comment.end, start) !== '\n') return ''
  return comment.value
    .slice(1)
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, ''))
    .join('\n')
    .trim()
    .replaceAll(/^@(\w+) /gm, '\n**$1** ')
}

function nameOf(node: { type: string; name?: string; value?: unknown }): string {
  return node.name ?? String(node.value)
}
