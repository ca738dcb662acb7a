import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { renderSurface, SURFACE } from '../surface/renderSurface.ts'

/** The list as it was when mechanisms began to leave. */
const BEFORE = 'scripts/surface/before.txt'
const PAGE = 'docs/upgrading.md'

/** Reports a list of what others can see that is out of date, and what has left it and is not named in the page on upgrading. */
export async function checkSurface(root: string): Promise<readonly string[]> {
  const read = (path: string) => readFile(join(root, path), 'utf8')
  const [now, listed, before, page] = await Promise.all([
    renderSurface(root),
    read(SURFACE),
    read(BEFORE),
    read(PAGE),
  ])
  return [
    ...(now === listed ? [] : [`${SURFACE}:1: is not what others can see now: pnpm surface`]),
    ...findUnexplained(before, now, page).map(
      (line) => `${PAGE}: does not name what is gone or changed since ${BEFORE}: ${line}`,
    ),
  ]
}

/**
 * Reports the lines of an earlier list that are gone or changed, and whose item the page does not name in backticks. What
 * belongs to something that is gone altogether needs no line of its own: members to their type, columns to their table,
 * options to their command.
 */
export function findUnexplained(before: string, now: string, page: string): string[] {
  const lines = new Set(now.split('\n'))
  const names = new Set(now.split('\n').map(nameOf))
  return before
    .split('\n')
    .filter((line) => !lines.has(line))
    .filter((line) => {
      const name = nameOf(line)
      const owner = /^roundsman \S+|^\w+(?=\.)/.exec(name)?.[0]
      return (
        !page.includes(`\`${name}\``) && (owner === undefined || owner === name || names.has(owner))
      )
    })
}

function nameOf(line: string): string {
  return line.split('  ')[1] ?? ''
}
