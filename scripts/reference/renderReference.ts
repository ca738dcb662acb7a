import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'
import { listWorkspaces, sourceOfEntry, type Workspace } from '../check/listWorkspaces.ts'
import { readExports, type Exported } from './readExports.ts'

/** The folder of the pages. */
export const REFERENCE = 'docs/reference'
/** The packages that can be installed, in the order in which people meet them. */
export const PACKAGES = ['engine', 'admin', 'fastify', 'cli', 'sweep', 'local-postgres']
/** Of a longer declaration, such as a schema, only the name is told: the package's types have it all. */
const MAX_CODE = 400
/** Of more members than this takes, the names are told. */
const MAX_HEAD = 200
/** Promises nothing, so it has no reference. */
export const INTERNAL = './internal'

/**
 * Writes a page for each package that can be installed: what its entries export, with their docstrings; and one of the
 * commands. Pages by path.
 */
export async function renderReference(root: string): Promise<ReadonlyMap<string, string>> {
  const workspaces = await listWorkspaces(root)
  const pages = new Map<string, string>()
  for (const room of PACKAGES) {
    const workspace = workspaces.find((one) => one.folder === `packages/${room}`)
    if (workspace === undefined) continue
    const page = await renderPackage(root, workspace)
    if (page !== null) pages.set(posix.join(REFERENCE, `${room}.md`), page)
    if (room === 'cli') pages.set(posix.join(REFERENCE, 'commands.md'), await renderCommands(root))
  }
  return pages
}

/** What each command of `roundsman` prints with --help, asked in a process that loads this repository's sources. */
async function renderCommands(root: string): Promise<string> {
  const script = `
    import { commandsByName } from 'roundsman/commands'
    const commands = Object.entries(commandsByName).map(async ([name, load]) => [name, (await load()).usage])
    process.stdout.write(JSON.stringify(await Promise.all(commands)))`
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=@roundsman/source', '--input-type=module', '--eval', script],
    { cwd: join(root, 'packages/cli') },
  )
  const sections = (JSON.parse(stdout) as [name: string, usage: string][]).map(
    ([name, usage]) => `## ${name}\n\n\`\`\`text\n${usage}\n\`\`\`\n`,
  )
  const head =
    '# Commands: options\n\nWritten by `pnpm docs:reference` from what `npx roundsman <command> --help` prints.\n'
  return [head, ...sections].join('\n')
}

async function renderPackage(
  root: string,
  { folder, manifest }: Workspace,
): Promise<string | null> {
  const sections: string[] = []
  /** What an earlier entry has described, which later ones only name: the entry by origin. */
  const told = new Map<string, string>()
  for (const [entry, target] of Object.entries(manifest.exports ?? {})) {
    const source = sourceOfEntry(folder, target)
    if (source === undefined || entry === INTERNAL) continue
    const name = posix.join(manifest.name ?? '', entry)
    const exports = await readExports(source, (path) => readFile(join(root, path), 'utf8'))
    const own = exports.filter(({ origin }) => !told.has(origin))
    const again = exports.filter(({ origin }) => told.has(origin))
    for (const { origin } of own) told.set(origin, name)
    sections.push(`## \`${name}\`\n`, renderEntry(own))
    if (again.length > 0) sections.push(renderAgain(again, told))
  }
  if (sections.length === 0) return null
  return `# \`${manifest.name}\`: reference\n\nWritten by \`pnpm docs:reference\` from the docstrings. A row with a dot is a part of the one above it.\n\n${sections.join('\n')}`
}

/** What readers come for. Each of these has a heading of its own, before all others. */
const FIRST = ['defineJob', 'Enqueue', 'Step', 'createJobsClient', 'createWorker', 'run']

function renderEntry(exports: readonly Exported[]): string {
  const first = FIRST.flatMap((name) => exports.find((one) => one.name === name) ?? [])
  const rest = exports.filter((one) => !first.includes(one))
  const headed = first.map((one) => `### \`${one.name}\`\n\n${renderTable([one])}`)
  const more = headed.length > 0 && rest.length > 0 ? ['### More\n'] : []
  return [...headed, ...more, ...(rest.length > 0 ? [renderTable(rest)] : [])].join('\n')
}

/** One table: values, then types, each followed by its members that have something to say. */
function renderTable(exports: readonly Exported[]): string {
  const sorted = exports.toSorted((a, b) => Number(a.isType) - Number(b.isType) || compare(a, b))
  return `| | |\n|---|---|\n${sorted.flatMap(renderExport).join('')}`
}

function compare(a: Exported, b: Exported): number {
  return a.name < b.name ? -1 : 1
}

function renderExport({ name, doc, code, members }: Exported): string[] {
  const silent = members.filter((member) => member.doc === '').map((member) => member.code)
  const [first = name, ...overloads] = code.map((one) => (one.length > MAX_CODE ? name : one))
  const all = silent.length === 0 ? first : `${first} { ${silent.join('; ')} }`
  const names = silent.map((member) => /^\w+|^\[.*?\]/.exec(member)?.[0])
  const head = all.length > MAX_HEAD ? `${first} { ${names.join(', ')} }` : all
  return [
    renderRow(`**${span(head)}**${overloads.map((one) => `<br>${span(one)}`).join('')}`, doc),
    ...members
      .filter((member) => member.doc !== '')
      .map((member) => renderRow(span(`.${member.code}`), member.doc)),
  ]
}

function span(code: string): string {
  return code.includes('`') ? `\`\` ${code} \`\`` : `\`${code}\``
}

function renderRow(code: string, doc: string): string {
  const prose = doc
    .replaceAll(/\n*^@throws (\w+) ?/gm, '\n\nThrows `$1` ')
    .replaceAll(/\n*^@(\w+) /gm, '\n\n$1: ')
    .replaceAll(/\n(?:\n+| {2}(?=\S))/g, '<br>')
    .replaceAll('\n', ' ')
    .replaceAll(/^(?:<br>)+| +$/g, '')
  return `| ${[code, prose].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`
}

function renderAgain(exports: readonly Exported[], told: ReadonlyMap<string, string>): string {
  const items = exports.map(({ name, origin }) => `\`${name}\` (of \`${told.get(origin)}\`)`)
  return `Also: ${items.toSorted().join(', ')}.\n`
}
