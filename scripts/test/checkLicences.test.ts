// Not quick: starts processes.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkLicences } from '../check/checkLicences.ts'
import { findLicenceProblems } from '../licences/findLicenceProblems.ts'
import { listInstalled, type InstalledPackage } from '../licences/listInstalled.ts'
import { renderLicences } from '../licences/renderLicences.ts'
import { writeTree } from './writeTree.ts'

const installed = (part: Partial<InstalledPackage>): InstalledPackage => ({
  name: 'thing',
  version: '1.0.0',
  licence: 'MIT',
  isProduction: true,
  isOfPlatform: false,
  ...part,
})

describe('a licence', () => {
  it.each([
    'MIT',
    'MIT AND OFL-1.1',
    '(MIT OR GPL-3.0-only)',
    'GPL-2.0-only OR (MIT AND ISC)',
    'MIT and ISC',
  ])('is allowed: %s', (licence) => {
    expect(findLicenceProblems([installed({ licence })])).toEqual([])
  })

  it.each([
    'GPL-3.0-only',
    'MIT AND GPL-3.0-only',
    'MPL-2.0',
    'UNLICENSED',
    'SEE LICENSE IN LICENSE',
    'mit-ish',
  ])('is not allowed: %s', (licence) => {
    expect(findLicenceProblems([installed({ licence })])).toEqual([
      expect.stringContaining(`thing@1.0.0 (the product) has the licence ${licence}`),
    ])
  })

  it('may be of the weaker kind for development, and not of the strong one', () => {
    const find = (licence: string) =>
      findLicenceProblems([installed({ licence, isProduction: false })]).length
    expect([find('MPL-2.0'), find('GPL-3.0-only')]).toEqual([0, 1])
  })

  it('has to be said', () => {
    expect(findLicenceProblems([installed({ licence: undefined })])).toEqual([
      expect.stringContaining('thing@1.0.0 (the product) does not say its licence'),
    ])
  })
})

const manifest = (name: string, more: object = {}) =>
  JSON.stringify({ name, version: '1.0.0', license: 'MIT', ...more })

/** Packages as npm lays them out: all side by side. */
const tree = {
  'package.json': manifest('root', { devDependencies: { tool: '1' } }),
  'apps/api/package.json': manifest('@roundsman/api', {
    dependencies: { '@roundsman/db': '1', roundsman: '1', server: '1' },
    devDependencies: { checker: '1' },
  }),
  'node_modules/@roundsman/db/package.json': manifest('@roundsman/db', {
    dependencies: { driver: '1' },
    devDependencies: { checker: '1' },
    optionalDependencies: { 'driver-linux': '1', 'driver-elsewhere': '1' },
  }),
  'node_modules/roundsman/package.json': manifest('roundsman'),
  'node_modules/server/package.json': manifest('server', {
    dependencies: { parser: '1' },
    devDependencies: { nobody: '1' },
    peerDependencies: { tool: '1', driver: '1' },
    peerDependenciesMeta: { tool: { optional: true } },
  }),
  'node_modules/parser/package.json': manifest('parser', { license: { type: 'ISC' } }),
  'node_modules/driver/package.json': manifest('driver', { dependencies: { parser: '1' } }),
  'node_modules/driver-linux/package.json': manifest('driver-linux', { os: ['linux'] }),
  'node_modules/tool/package.json': manifest('tool', { license: 'MPL-2.0' }),
  'node_modules/checker/package.json': manifest('checker', { dependencies: { parser: '1' } }),
  'node_modules/nobody/package.json': manifest('nobody'),
}

describe('what is installed', () => {
  it('is told apart by what it is for', async () => {
    const packages = await listInstalled(await writeTree(tree))
    expect(
      packages.map(({ name, isProduction, isOfPlatform }) => [name, isProduction, isOfPlatform]),
    ).toEqual([
      ['checker', false, false],
      ['driver', true, false],
      ['driver-linux', true, true],
      ['parser', true, false],
      ['server', true, false],
      ['tool', false, false],
    ])
    expect(packages.find(({ name }) => name === 'parser')?.licence).toBe('ISC')
  })

  it('is checked, and has to be in the report', async () => {
    const root = await writeTree({
      ...tree,
      'node_modules/parser/package.json': manifest('parser', { license: 'GPL-3.0-only' }),
      'reports/licences.md': 'old',
    })
    expect(await checkLicences(root)).toEqual([
      expect.stringContaining('parser@1.0.0 (the product) has the licence GPL-3.0-only'),
      expect.stringContaining('write it anew with pnpm audit:licences'),
    ])
    const report = renderLicences(await listInstalled(root))
    await writeFile(join(root, 'reports/licences.md'), `${report}\nmore`)
    expect(await checkLicences(root)).toHaveLength(1)
    expect(report).toContain('| parser | 1.0.0 | GPL-3.0-only |')
    expect(report).not.toContain('driver-linux')
  })

  it('is nothing where nothing is', async () => {
    expect(await checkLicences(await writeTree({ 'package.json': '{}' }))).toEqual([
      'There is nothing installed: pnpm install',
    ])
  })
})
