import { expect, it } from 'vitest'
import { addDefinition, addHandler } from '../../src/newJob/editModule.ts'

const DEFINITION = `export const b = defineJob({ name: 'b' })\n`

it.each([
  ['a list', `export const jobs = [a] as const\n`, `export const jobs = [a, b] as const\n`],
  [
    'a list with more',
    `export const jobs = withEngineJobs([a])\n`,
    `export const jobs = withEngineJobs([a, b])\n`,
  ],
  ['an empty list', `export const jobs = []\n`, `export const jobs = [b]\n`],
  [
    'a checked one',
    `export const jobs = [\n  a,\n] satisfies readonly Job[]\n`,
    `export const jobs = [\n  a, b,\n] satisfies readonly Job[]\n`,
  ],
])('adds a definition above %s, and to it', (_, list, changed) => {
  const before = `export const a = defineJob({ name: 'a' })\n\n`
  expect(addDefinition('index.ts', before + list, { name: 'b', definition: DEFINITION })).toBe(
    `${before}${DEFINITION}\n${changed}`,
  )
})

it('leaves the comment of the list with it', () => {
  const before = `// a\nexport const a = defineJob({ name: 'a' })\n\n`
  const list = '/** All of them. */\nexport const jobs = [a]\n'
  expect(addDefinition('index.ts', before + list, { name: 'b', definition: DEFINITION })).toBe(
    `${before}${DEFINITION}\n${list.replace('[a]', '[a, b]')}`,
  )
})

it.each([
  ['with a comma', `{\n  a() {},\n}`, `{\n  a() {},\n\n  b() {},\n}`],
  ['without one', `{\n  a() {}\n}`, `{\n  a() {},\n\n  b() {},\n}`],
  ['that is empty', `{}`, `{\n  b() {},\n}`],
])('adds a handler to an object %s', (_, before, after) => {
  const module = (object: string) => `export const handlers: Handlers = ${object};\n`
  expect(addHandler('handlers.ts', module(before), '  b() {}')).toBe(module(after))
})

it('says where there is none', () => {
  expect(() => addHandler('a.ts', 'export const handlers = other()', 'b() {}')).toThrow('a.ts')
  expect(() => addDefinition('a.ts', 'const jobs = []', { name: 'b', definition: '' })).toThrow(
    'a.ts',
  )
})
