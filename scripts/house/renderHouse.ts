import { posix } from 'node:path'
import { findImports } from '../check/findImports.ts'
import type { Code } from '../check/readCode.ts'

/** The page with the picture, which stands between these two lines. */
export const HOUSE_PAGE = 'docs/architecture.md'
const BEGIN = '<!-- the house: written by pnpm docs:house -->'
const END = '<!-- end of the house -->'

/** Rooms and entries that look at all others from outside: their arrows would cross the picture. */
const OUTSIDE = ['lab', 'testing', 'entries']
const ENGINE = 'packages/engine'

/** How many imports lead from one room to another, and how many of them are more than types. */
interface Arrow {
  from: string
  to: string
  count: number
  loaded: number
}

/** Puts the picture of the present imports into the page. */
export function withHouse(page: string, code: Code): string {
  const [before, rest] = page.split(`${BEGIN}\n`)
  const [, after] = (rest ?? '').split(`${END}\n`)
  if (before === undefined || after === undefined)
    throw new Error(`${HOUSE_PAGE} has no place for the house: ${BEGIN} … ${END}`)
  return `${before}${BEGIN}\n${renderHouse(code)}${END}\n${after}`
}

/** Whether the page shows each arrow and no other. The counts may differ: each import changes one. */
export function showsHouse(page: string, code: Code): boolean {
  const arrowsOf = (text: string) => text.replaceAll(/\|\d+\|/g, '')
  return arrowsOf(withHouse(page, code)) === arrowsOf(page)
}

function renderHouse(code: Code): string {
  const rooms = countArrows(code, roomOf)
  const folders = countArrows(code, folderOfEngine).filter(({ loaded }) => loaded > 0)
  return [
    draw(rooms),
    'Which folder of `packages/engine/src` loads which; those that lead to `job` may go by `index.ts`, which hands it on:\n',
    draw(folders.map((arrow) => ({ ...arrow, count: arrow.loaded }))),
  ].join('\n')
}

/** `db` for `packages/db`, `apps/api` as it is. */
function roomOf(path: string): string | undefined {
  const [group, room] = path.split('/')
  if (group === 'apps') return `${group}/${room}`
  return group === 'packages' ? room : undefined
}

/** `run` for what is below packages/engine/src/run. index.ts counts as `job`, whose parts it exports. */
function folderOfEngine(path: string): string | undefined {
  if (!path.startsWith(`${ENGINE}/src/`)) return undefined
  const [section, file] = path.split('/').slice(3)
  if (file !== undefined) return section
  return section === 'index.ts' ? 'job' : 'entries'
}

/** Counts the imports between places. `placeOf` names the place of a file, or leaves it out. */
function countArrows(code: Code, placeOf: (path: string) => string | undefined): Arrow[] {
  const arrows = new Map<string, Arrow>()
  for (const [path, text] of code.files) {
    const from = placeOf(path)
    if (from === undefined || path.split('/')[2] !== 'src') continue
    for (const { specifier, isTypeOnly } of findImports(path, text)) {
      const to = placeOf(fileOf(code, path, specifier))
      if (to === undefined || to === from || [from, to].some((one) => OUTSIDE.includes(one)))
        continue
      const key = `${from} ${to}`
      const arrow = arrows.get(key) ?? { from, to, count: 0, loaded: 0 }
      arrow.count++
      if (!isTypeOnly) arrow.loaded++
      arrows.set(key, arrow)
    }
  }
  return [...arrows.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, arrow]) => arrow)
}

/** The file that an import names; of a package only its folder. */
function fileOf({ workspaces }: Code, path: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(path), specifier)
  const owner = workspaces.find(
    ({ manifest: { name } }) => specifier === name || specifier.startsWith(`${name}/`),
  )
  return owner?.folder ?? specifier
}

/** Draws arrows as a Mermaid diagram; dashed where types are all that is imported. */
function draw(arrows: readonly Arrow[]): string {
  const nameOf = (room: string) => room.replaceAll(/\W/g, '_')
  const rooms = [...new Set(arrows.flatMap(({ from, to }) => [from, to]))].toSorted()
  return [
    '```mermaid',
    'flowchart LR',
    ...rooms.map((room) => `  ${nameOf(room)}["${room}"]`),
    ...arrows.map(
      ({ from, to, count, loaded }) =>
        `  ${nameOf(from)} ${loaded === 0 ? '-.->' : '-->'}|${count}| ${nameOf(to)}`,
    ),
    '```\n',
  ].join('\n')
}
