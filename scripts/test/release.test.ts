// Not quick: packs what is published.
import { existsSync } from 'node:fs'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
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

describe('the command line', () => {
  it('brings few packages and megabytes', async () => {
    const [command] = packed.filter(({ name }) => name === 'roundsman')
    const sizes = new Map<string, number>()
    await weigh(command!, join(ROOT, 'packages/cli'), sizes)
    const bytes = [...sizes.values()].reduce((sum, one) => sum + one, 0)

    expect([...sizes.keys()].toSorted()).toContain('@roundsman/engine')
    expect(sizes.size, [...sizes.keys()].join()).toBeLessThanOrEqual(25)
    expect(bytes, JSON.stringify([...sizes])).toBeLessThanOrEqual(12_000_000)
    expect(packed[0]?.packedBytes).toBeLessThanOrEqual(500_000)
  })

  /** Adds what an install of a package brings, by name: optional peers are left out. */
  async function weigh(
    { name, manifest, unpackedBytes }: Pick<PackedPackage, 'name' | 'manifest' | 'unpackedBytes'>,
    folder: string,
    sizes: Map<string, number>,
  ): Promise<void> {
    if (sizes.has(name)) return
    sizes.set(name, unpackedBytes)
    const { dependencies, optionalDependencies } = manifest
    for (const needed of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const own = packed.find((one) => one.name === needed)
      const place = own ? join(ROOT, own.folder) : await findInstalled(folder, needed)
      if (place !== null) await weigh(own ?? (await readInstalled(place)), place, sizes)
    }
  }
})

/** Where Node would find a package from a folder; null for an optional one of another platform. */
async function findInstalled(folder: string, name: string): Promise<string | null> {
  for (const place of [
    join(folder, 'node_modules', name),
    join(folder.split(`/node_modules/`).slice(0, -1).join('/node_modules/'), 'node_modules', name),
  ]) {
    if (existsSync(place)) return await realpath(place)
  }
  return null
}

async function readInstalled(folder: string) {
  const manifest = JSON.parse(
    await readFile(join(folder, 'package.json'), 'utf8'),
  ) as PackedPackage['manifest']
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const sizes = entries
    .filter(
      (entry) =>
        entry.isFile() &&
        !join(entry.parentPath, entry.name).slice(folder.length).includes('/node_modules/'),
    )
    .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size)
  const unpackedBytes = (await Promise.all(sizes)).reduce((sum, one) => sum + one, 0)
  return { name: manifest.name, manifest, unpackedBytes }
}

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
