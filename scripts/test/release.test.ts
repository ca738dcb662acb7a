// Not quick: packs what is published.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { checkPacked } from '../release/checkPacked.ts'
import { PUBLISHED, type PackedPackage } from '../release/packPublished.ts'
import { readPacked } from './init/installPacked.ts'

const ROOT = join(import.meta.dirname, '../..')

let packed: PackedPackage[]

beforeAll(async () => {
  packed = await readPacked(inject('installed'))
})

describe('what is published', () => {
  it('is whole, of one version, and asks for no types that come from elsewhere', () => {
    expect(packed.flatMap(checkPacked)).toEqual([])
    expect(packed.map((one) => one.folder)).toEqual(
      PUBLISHED.filter((one) => existsSync(join(ROOT, one))),
    )
    expect(new Set(packed.map(({ version }) => version)).size).toBe(1)
  })
})

describe('a package that is not whole', () => {
  const broken = (path: string, change: (text: string) => string | null): string[] => {
    const [engine] = packed
    const files = new Map(engine!.files)
    const text = change(files.get(path)?.toString() ?? '')
    if (text === null) files.delete(path)
    else files.set(path, Buffer.from(text))
    return checkPacked({ ...engine!, files })
  }

  it.each([
    ['without its README', 'README.md', () => null, /has no README\.md/],
    ['without what an entry names', 'dist/client.js', () => null, /names .*dist\/client\.js/],
    ['without a map', 'dist/client.js.map', () => null, /dist\/client\.js has no map/],
    ['without a source', 'src/client.ts', () => null, /names src\/client\.ts/],
    [
      'with types of a package that is not installed with it',
      'dist/job/jobError.d.ts',
      (text: string) => `import type { FastifyInstance } from 'fastify'\n${text}`,
      /the types of \. ask for fastify/,
    ],
    [
      'with types of the driver',
      'dist/job/jobError.d.ts',
      (text: string) => `${text}\nexport type Pool = import('pg').Pool\n`,
      /the types of \. name pg/,
    ],
    [
      'with a module that bundlers may drop although it acts',
      'dist/client.js',
      (text: string) => `${text}\nprocess.on('exit', () => {})\n`,
      /does not name \.\/dist\/client\.js in sideEffects/,
    ],
    [
      'that keeps a module which does not act',
      'dist/nodeOnly.cjs',
      () => '',
      /names \.\/dist\/nodeOnly\.cjs in sideEffects/,
    ],
  ])('is refused: %s', (_what, path, change, problem) => {
    expect(broken(path, change)).toContainEqual(expect.stringMatching(problem))
  })
})
