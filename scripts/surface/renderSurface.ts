import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'
import { loadModule, parseSync } from 'libpg-query'
import { listFiles } from '../check/listFiles.ts'
import { listWorkspaces, sourceOfEntry } from '../check/listWorkspaces.ts'
import { readExports, type Exported } from '../reference/readExports.ts'
import { INTERNAL, PACKAGES } from '../reference/renderReference.ts'

/** The list of what others can see. */
export const SURFACE = 'reports/surface.txt'
/** Of a longer type, signature or usage the list has only the beginning. */
const MAX_TEXT = 200

/** An item of the list: kind, name, and what may change about it. */
type Item = readonly [kind: string, name: string, text: string]

/** The API's document, as far as the list needs it. */
interface ApiDocument {
  paths: Record<string, Record<string, { parameters?: Parameter[]; responses: object }>>
}

interface Parameter {
  name: string
  in: string
}

/**
 * Lists what others can see of this repository, an item a line: exports of the packages with their members, commands and
 * their options, routes, codes of errors, metrics, kinds of problems and alerts, tables, and variables of the environment.
 */
export async function renderSurface(root: string): Promise<string> {
  const [{ stdout }, exports, sources] = await Promise.all([
    promisify(execFile)(
      process.execPath,
      ['--conditions=@roundsman/source', join(import.meta.dirname, 'printLoaded.ts')],
      { cwd: root, maxBuffer: 64 * 1024 * 1024 },
    ),
    readAllExports(root),
    readSources(root),
  ])
  const { api, sql } = JSON.parse(stdout) as { api: ApiDocument; sql: string }
  const items = [
    ...exports.flatMap(([entry, exported]) => listExport(entry, exported)),
    ...listCommands(await readFile(join(root, 'docs/reference/commands.md'), 'utf8')),
    ...listRoutes(api),
    ...listErrorCodes(await readFile(join(root, 'docs/runbook.md'), 'utf8')),
    ...listErrorCodes(await readFile(join(root, 'docs/environment.md'), 'utf8')),
    ...listMetrics(sources),
    ...listKinds(sources),
    ...(await listTables(sql)),
    ...listVariables(sources),
  ]
  const lines = items.map(([kind, name, text]) => {
    const rest = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
    return `${kind}  ${name}  ${rest}`.trimEnd()
  })
  return `${[...new Set(lines)].toSorted().join('\n')}\n`
}

async function readAllExports(root: string): Promise<[entry: string, exported: Exported][]> {
  const found: [string, Exported][] = []
  for (const { folder, room, manifest } of await listWorkspaces(root)) {
    if (!PACKAGES.includes(room)) continue
    for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
      const source = sourceOfEntry(folder, target)
      if (source === undefined || entry === INTERNAL) continue
      const exports = await readExports(source, (path) => readFile(join(root, path), 'utf8'))
      const name = posix.join(manifest.name ?? '', entry)
      found.push(...exports.map((exported) => [name, exported] as [string, Exported]))
    }
  }
  return found
}

function listExport(entry: string, { name, isType, code, members }: Exported): Item[] {
  return [
    ...code.map((one): Item => ['export', name, `${entry}: ${isType ? 'type ' : ''}${one}`]),
    ...members.map(({ code: member }): Item => {
      const [own = 'call'] = /^[\w$]+|^\[.*?\]/.exec(member) ?? []
      return ['member', `${name}.${own}`, member]
    }),
  ]
}

/** Lists the commands of `roundsman`, how each is used, and all options that its help names. */
function listCommands(page: string): Item[] {
  return page
    .split(/^## /m)
    .slice(1)
    .flatMap((section): Item[] => {
      const [name = ''] = section.split('\n')
      const [, usage = ''] = /^Usage: ([^]*?)\n\n/m.exec(section) ?? []
      const uses = usage.split(/\n +(?=roundsman )/).map((use) => use.replaceAll(/\s+/g, ' '))
      const options = new Set(section.match(/(?<![\w-])--[a-z][a-z-]*/g))
      return [
        ['command', `roundsman ${name}`, ''],
        ...uses.flatMap((use) => {
          const [words = ''] = /^roundsman(?: [a-z][a-z|-]*)+/.exec(use) ?? []
          const [start = '', verbs = ''] = words.split(/ (?=\S+$)/)
          return verbs.split('|').map((verb): Item => ['usage', `${start} ${verb}`, use])
        }),
        ...[...options].map((option): Item => ['option', `roundsman ${name} ${option}`, '']),
      ]
    })
}

function listRoutes({ paths }: ApiDocument): Item[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], responses }]): Item => {
      const asked = parameters.filter((one) => one.in !== 'path').map((one) => one.name)
      const name = `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`
      return ['route', name, [...asked.toSorted(), ...Object.keys(responses)].join(' ')]
    }),
  )
}

/** Lists the codes that a page explains. A test compares them with those that the code throws. */
function listErrorCodes(page: string): Item[] {
  const [, table = ''] = /^## Error codes\n([^]*?)^## /m.exec(page) ?? []
  return [...table.matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) =>
    [...cell.matchAll(/`(\w+)`/g)].map(([, code = '']): Item => ['errorCode', code, '']),
  )
}

function listMetrics(sources: readonly string[]): Item[] {
  const METRIC = /name: '(roundsman_\w+)',\s*help:[^]*?(?:labelNames: \[(.*?)\]|\}\s*[,)])/g
  return sources.flatMap((text) =>
    [...text.matchAll(METRIC)].map(([, name = '', labels = '']): Item => {
      return ['metric', name, labels.replaceAll(/[',]/g, '')]
    }),
  )
}

function listKinds(sources: readonly string[]): Item[] {
  const kinds = sources.flatMap((text) => /PROBLEM_KINDS = \[([^\]]*)\]/.exec(text)?.[1] ?? [])
  // Each kind is a kind of alert.
  return [...kinds.join().matchAll(/'(\w+)'/g)].flatMap(([, kind = '']): Item[] => [
    ['problem', kind, ''],
    ['alert', kind, ''],
  ])
}

/** What PostgreSQL's parser makes of a statement, as far as the list needs it. */
interface Parsed {
  CreateStmt?: { relation: Relation; tableElts?: { ColumnDef?: Column }[] }
  AlterTableStmt?: { relation: Relation; cmds: { AlterTableCmd: AlterTable }[] }
  ViewStmt?: { view: Relation }
}

interface Relation {
  relname: string
}

interface Column {
  colname: string
  typeName: { names: { String: { sval: string } }[]; arrayBounds?: unknown }
}

interface AlterTable {
  subtype: string
  name?: string
  def?: { ColumnDef?: Column }
}

async function listTables(sql: string): Promise<Item[]> {
  await loadModule()
  const { stmts } = parseSync(sql) as unknown as { stmts: { stmt: Parsed }[] }
  const items = stmts.flatMap(
    ({ stmt: { CreateStmt: made, AlterTableStmt: altered, ViewStmt: view } }) => [
      ...(made ? [['table', made.relation.relname, ''] as const] : []),
      ...(made?.tableElts ?? []).flatMap((one) => listColumn(made?.relation, one.ColumnDef)),
      ...(altered?.cmds ?? []).flatMap(({ AlterTableCmd: { subtype, def } }) =>
        subtype === 'AT_AddColumn' ? listColumn(altered?.relation, def?.ColumnDef) : [],
      ),
      ...(view ? [['view', view.view.relname, ''] as const] : []),
    ],
  )
  const dropped = stmts.flatMap(({ stmt: { AlterTableStmt: altered } }) =>
    (altered?.cmds ?? []).flatMap(({ AlterTableCmd: { subtype, name } }) =>
      subtype === 'AT_DropColumn' ? [`${altered?.relation.relname}.${name}`] : [],
    ),
  )
  return items.filter(([, name]) => !dropped.includes(name))
}

function listColumn(table: Relation | undefined, column: Column | undefined): Item[] {
  if (table === undefined || column === undefined) return []
  const { names, arrayBounds } = column.typeName
  const type = `${names.at(-1)?.String.sval}${arrayBounds === undefined ? '' : '[]'}`
  return [['column', `${table.relname}.${column.colname}`, type]]
}

function listVariables(sources: readonly string[]): Item[] {
  return sources.flatMap((text) => [
    ...[...text.matchAll(/process\.env(?:\.|\[')([A-Z][A-Z0-9_]*)/g)].map(([, name = '']): Item => [
      'variable',
      name,
      '',
    ]),
    ...[...text.matchAll(/\{([^{}]*)\} = process\.env\b/g)].flatMap(([, names = '']) =>
      names.split(',').map((name): Item => ['variable', name.trim(), '']),
    ),
  ])
}

async function readSources(root: string): Promise<string[]> {
  const files = await listFiles(root)
  const isSource = new RegExp(`^packages/(?:${PACKAGES.join('|')})/src/.*\\.ts$`)
  const paths = files.filter((path) => isSource.test(path))
  return await Promise.all(paths.map((path) => readFile(join(root, path), 'utf8')))
}
