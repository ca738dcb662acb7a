import { readFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { listWorkspaces, sourceOfEntry, type Workspace } from '../check/listWorkspaces.ts'
import { readExports, type Exported } from './readExports.ts'

/** The folder of the pages. */
export const REFERENCE = 'docs/reference'
/** The packages that can be installed, in the order in which people meet them. */
const PACKAGES = ['engine', 'admin', 'fastify', 'cli', 'sweep', 'local-postgres']
/** Promises nothing, so it has no reference. */
const INTERNAL = './internal'

/**
 * Writes a page for each package that can be installed: what its entries export, with their docstrings. Pages by path.
 */
export async function renderReference(root: string): Promise<ReadonlyMap<string, string>> {
  const workspaces = await listWorkspaces(root)
  const pages = new Map<string, string>()
  for (const room of PACKAGES) {
    const workspace = workspaces.find((one) => one.folder === `packages/${room}`)
    if (workspace === undefined) continue
    const page = await renderPackage(root, workspace)
    if (page !== null) pages.set(posix.join(REFERENCE, `${room}.md`), page)
  }
  return pages
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
    sections.push(
      `## \`${name}\`\n`,
      ...own.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(renderExport),
      ...(again.length === 0 ? [] : [renderAgain(again, told)]),
    )
  }
  if (sections.length === 0) return null
  return `# \`${manifest.name}\`: reference\n\nWritten by \`pnpm docs:reference\` from the docstrings.\n\n${sections.join('\n')}`
}

function renderExport({ name, doc, code }: Exported): string {
  const prose = doc === '' ? '' : `${doc}\n\n`
  return `### ${name}\n\n${prose}\`\`\`ts\n${code}\n\`\`\`\n`
}

function renderAgain(exports: readonly Exported[], told: ReadonlyMap<string, string>): string {
  const items = exports.map(({ name, origin }) => `\`${name}\` (of \`${told.get(origin)}\`)`)
  return `Also: ${items.toSorted().join(', ')}.\n`
}
