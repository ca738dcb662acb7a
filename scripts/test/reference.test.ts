import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readExports } from '../reference/readExports.ts'

function read(files: Record<string, string>) {
  return readExports('src/index.ts', async (path) => files[path] ?? '')
}

test('what an entry hands on is told with its docstring and without what it does', async () => {
  const exported = await read({
    'src/index.ts': `export { openDoor as open, type Door } from './door.ts'\nexport * from './wall.ts'`,
    'src/door.ts': `
/**
 * A door.
 * Of wood.
 */
export interface Door {
  /** In millimetres. */
  width: number
}
/**
 * Opens a door.
 * @throws Error where there is none
 */
export async function openDoor(door: Door, { wide = false }: { wide?: boolean } = {}): Promise<void> {
  if (wide) throw new Error(String(door.width))
}`,
    'src/wall.ts': `
/** Of another thing. */

const HEIGHT = 2
function paint(color: string): void { void color }
export { HEIGHT, paint }
export const wet: boolean = true`,
  })
  expect(exported.map(({ name, doc, code, members }) => ({ name, doc, code, members }))).toEqual([
    {
      name: 'open',
      doc: 'Opens a door.\n@throws Error where there is none',
      code: ['openDoor(door: Door, { wide = false }: { wide?: boolean } = {}): Promise<void>'],
      members: [],
    },
    {
      name: 'Door',
      doc: 'A door.\nOf wood.',
      code: ['Door'],
      members: [{ code: 'width: number', doc: 'In millimetres.' }],
    },
    { name: 'HEIGHT', doc: '', code: ['HEIGHT = 2'], members: [] },
    { name: 'paint', doc: '', code: ['paint(color: string): void'], members: [] },
    { name: 'wet', doc: '', code: ['wet: boolean'], members: [] },
  ])
})

test('overloads are one name', async () => {
  const [exported, ...others] = await read({
    'src/index.ts': `
export function add(a: string): string
export function add(a: number): number
export function add(a: unknown): unknown { return a }`,
  })
  expect(others).toEqual([])
  expect(exported?.code).toEqual(['add(a: string): string', 'add(a: number): number'])
})

test('a name that is handed on and is not there is an error', async () => {
  await expect(
    read({ 'src/index.ts': `export { lost } from './a.ts'`, 'src/a.ts': '' }),
  ).rejects.toThrow('src/a.ts does not export lost')
})

test('each call of a client has a docstring, which editors show where it is called', async () => {
  const root = join(import.meta.dirname, '../../packages/engine')
  const exported = await readExports('src/client.ts', (path) => readFile(join(root, path), 'utf8'))
  const members = exported.find(({ name }) => name === 'JobsClient')?.members ?? []
  const calls = members.filter(({ code }) => !code.startsWith('protocol'))
  expect(calls.map(({ code }) => code)).toContain('enqueue: Enqueue<HostTransaction>')
  expect(calls.filter(({ doc }) => doc === '')).toEqual([])
})
