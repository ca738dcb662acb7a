import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { inspectProduct } from '../../src/init/inspectProduct.ts'
import { writeProduct, type Files } from './product.ts'

const facts = async (files: Files) =>
  await inspectProduct(await writeProduct({ 'package.json': {}, ...files }))

const depending = (dependencies: Record<string, string>, more: object = {}) => ({
  'package.json': { dependencies, ...more },
})

it.each([
  [{ 'pnpm-lock.yaml': '' }, 'pnpm'],
  [{ 'yarn.lock': '' }, 'yarn'],
  [{ 'bun.lock': '' }, 'bun'],
  [{ 'package-lock.json': '' }, 'npm'],
  [{ '.git/HEAD': '' }, 'npm'],
  // What the manifest says counts more than a lock file.
  [{ 'package.json': { packageManager: 'yarn@4.1.0' }, 'package-lock.json': '' }, 'yarn'],
])('finds the package manager of %j', async (files, packageManager) => {
  expect(await facts(files)).toMatchObject({ packageManager })
})

it.each([
  [{ '@prisma/client': '^6.19.0' }, 'prisma6'],
  [{ '@prisma/client': '7.10.0' }, 'prisma7'],
  [{ 'drizzle-orm': '^0.45.0', pg: '^8.0.0' }, 'drizzle'],
  [{ kysely: '^0.29.0', pg: '^8.0.0' }, 'kysely'],
  [{ knex: '^3.0.0', pg: '^8.0.0' }, 'knex'],
  [{ pg: '^8.0.0' }, 'pg'],
  [{ postgres: '^3.0.0' }, 'postgres'],
  [{}, null],
])('finds the database client of %j', async (dependencies, database) => {
  expect(await facts(depending(dependencies))).toMatchObject({ database })
})

it.each([
  [{}, 'vitest'],
  [{ 'api/package-lock.json': '' }, null],
  [{ 'api/package.json': { devDependencies: { jest: '30.0.0' } } }, 'jest'],
])("finds the vitest of its workspace's root, beside %j", async (files, testRunner) => {
  const root = await writeProduct({
    'package.json': { workspaces: ['*'], devDependencies: { vitest: '5.0.0' } },
    'pnpm-lock.yaml': '',
    'api/package.json': {},
    ...files,
  })
  expect(await inspectProduct(join(root, 'api'))).toMatchObject({ testRunner })
})

it('finds the client that another package of the workspace exports', async () => {
  const root = await writeProduct({
    'package.json': { workspaces: ['*'] },
    'db/package.json': { dependencies: { '@prisma/client': '7.10.0' } },
    'db/src/index.ts': 'export const prisma = new PrismaClient({ adapter })',
    'api/package.json': { dependencies: { '@shop/db': 'workspace:*', fastify: '5.0.0' } },
    'api/node_modules/@shop/other.txt': '',
  })
  await symlink(join(root, 'db'), join(root, 'api/node_modules/@shop/db'))
  expect(await inspectProduct(join(root, 'api'))).toMatchObject({
    database: 'prisma7',
    client: { path: '@shop/db', name: 'prisma', isOfPackage: true },
  })
})

it.each([
  [{ fastify: '5.0.0' }, 'fastify'],
  [{ '@nestjs/core': '11.0.0', express: '5.0.0' }, 'nest'],
  [{ express: '5.0.0' }, 'express'],
  [{ hono: '4.0.0' }, 'hono'],
  [{ koa: '3.0.0' }, 'koa'],
  [{ nuxt: '^4.5.0' }, 'nuxt'],
  [{ next: '16.0.0', express: '5.0.0' }, 'next'],
  [{}, null],
])('finds the framework of %j', async (dependencies, framework) => {
  expect(await facts(depending(dependencies))).toMatchObject({ framework })
})

it.each([
  [{ zod: '^4.1.0' }, 'zod'],
  [{ zod: '^3.24.1' }, 'zod'],
  [{ zod: '^3.23.8' }, null],
  [{ valibot: '1.5.0' }, 'valibot'],
  [{ valibot: '^0.42.1' }, null],
  [{ arktype: '~2.2.0' }, 'arktype'],
  [{ arktype: '^2.0.0', zod: '^3.22.0' }, 'arktype'],
  [{ zod: 'latest' }, 'zod'],
  [{}, null],
])('finds the schema library of %j', async (dependencies, schemaLibrary) => {
  expect(await facts(depending(dependencies))).toMatchObject({ schemaLibrary })
})

it.each([
  [{ a: '1.0.0', b: '2.0.0', c: '^1.0.0' }, ''],
  [{ a: '^1.0.0', b: '2.0.0', c: '^1.0.0' }, '^'],
  [{ a: '~1.0.0', b: '~2.0.0' }, '~'],
  [{}, '^'],
])('writes versions as %j are written', async (dependencies, versionPrefix) => {
  expect(await facts(depending(dependencies))).toMatchObject({ versionPrefix })
})

it.each([
  ['as the files do', { 'src/a.ts': `import { b } from './b.js'`, 'src/b.ts': '' }, {}, '.js'],
  ['as the files do', { 'src/a.ts': `import { b } from './b.ts'`, 'src/b.ts': '' }, {}, '.ts'],
  ['as the files do', { 'src/a.ts': `import { b } from './b'`, 'src/b.ts': '' }, {}, ''],
  ['as Node demands', {}, { type: 'module' }, '.js'],
  ['as CommonJS lets one', {}, {}, ''],
])('writes imports %s', async (_, files, more, importExtension) => {
  const tsconfig = { compilerOptions: { module: 'nodenext' } }
  expect(
    await facts({ ...depending({}, more), 'tsconfig.json': tsconfig, ...files }),
  ).toMatchObject({ importExtension })
})

it.each([
  ['a file whose name says so', 'src/db.ts', 'export const pool = new Pool({})', 'pool'],
  ['any other', 'src/lib/storage.ts', 'export const store = new Pool()', 'store'],
  ['a singleton', 'src/db.ts', 'export const pool = globalThis.pool ?? new Pool()', 'pool'],
  ['a list', 'src/db.ts', 'const pool = new Pool()\nexport { pool }', 'pool'],
  ['another name', 'src/db.ts', 'const pool = new Pool()\nexport { pool as storage }', 'storage'],
  ['the default', 'src/db.ts', 'const pool = new pg.Pool()\nexport default pool', 'default'],
  ['a type', 'src/db.ts', 'export const pool: Pool = new Pool()', 'pool'],
  [
    'many lines',
    'src/db.ts',
    'export const pool = new Pool({\n  max: 3,\n})\n\nexport const other = 1',
    'pool',
  ],
])('finds the client that is exported from %s', async (_, path, text, name) => {
  expect(await facts({ ...depending({ pg: '8.0.0' }), [path]: text })).toMatchObject({
    client: { path, name },
  })
})

it.each([
  ['that nobody exports', { 'src/db.ts': 'const pool = new Pool()' }],
  ['that is made at each call', { 'src/db.ts': 'export const open = () => new Pool()' }],
  [
    'that is made by a function',
    { 'src/db.ts': 'export function open() {\n  return new Pool()\n}' },
  ],
  ['of a server', { 'src/app.ts': 'export const pool = new Pool()\napp.listen(1)' }],
  ['of a test', { 'test/db.ts': 'export const pool = new Pool()' }],
  [
    'of which there are several',
    { 'src/a.ts': 'export const a = new Pool()', 'src/b.ts': 'export const b = new Pool()' },
  ],
])('takes no client %s', async (_, files) => {
  expect(await facts({ ...depending({ pg: '8.0.0' }), ...files })).toMatchObject({ client: null })
})

it.each([
  ['provider = "prisma-client-js"', '@prisma/client'],
  ['provider = "prisma-client-js"\n  output = "../src/generated"', './src/generated'],
  [
    'provider = "prisma-client"\n  output = "../src/generated/prisma"',
    './src/generated/prisma/client',
  ],
])('finds where Prisma generates its client: %s', async (generator, prismaClient) => {
  const schema = `generator client {\n  ${generator}\n}\n\ndatasource db {\n  provider = "postgresql"\n}\n`
  expect(
    await facts({ ...depending({ '@prisma/client': '6.0.0' }), 'prisma/schema.prisma': schema }),
  ).toMatchObject({ prismaClient })
})

it.each([
  ['tsc', { rootDir: 'src', outDir: 'dist' }, { by: 'tsc', outDir: 'dist' }],
  ['tsc -p .', { outDir: './lib/' }, { by: 'tsc', outDir: 'lib' }],
  ['tsc', { rootDir: '.', outDir: 'dist' }, { by: 'tsc', outDir: 'dist/src' }],
  ['nest build', { outDir: './dist' }, { by: 'tsc', outDir: 'dist' }],
  ['tsup src/server.ts', { outDir: 'dist' }, { by: 'bundler' }],
  ['tsc', { noEmit: true }, null],
  ['', {}, null],
])('finds what `%s` with %j makes', async (script, compilerOptions, build) => {
  const manifest = script === '' ? {} : { scripts: { build: script } }
  expect(
    await facts({
      'package.json': manifest,
      'tsconfig.json': { compilerOptions },
      'src/server.ts': '',
    }),
  ).toMatchObject({ build, sourceFolder: 'src' })
})

it('follows a configuration that extends others, with comments in it', async () => {
  const found = await facts({
    'tsconfig.base.json':
      '{ // shared\n "compilerOptions": { "module": "commonjs", "strict": true, } }',
    'tsconfig.json': { extends: './tsconfig.base.json', include: ['src'] },
  })
  expect(found).toMatchObject({
    compilerOptions: { module: 'commonjs', strict: true },
    includesRoot: false,
  })
})

it.each([
  [{ include: ['src'] }, false],
  [{ include: ['src/**/*.ts', 'test'] }, false],
  [{ include: ['**/*.ts'] }, true],
  [{ include: ['.'] }, true],
  [{}, true],
  [{ compilerOptions: { rootDir: 'src' } }, true],
  [{ files: ['src/a.ts'] }, false],
])(
  'knows whether the compiler takes files at the root, with %j',
  async (tsconfig, includesRoot) => {
    expect(await facts({ 'tsconfig.json': tsconfig })).toMatchObject({ includesRoot })
  },
)

it.each([
  [{ '.env.example': 'POSTGRES_URL=\n' }, 'POSTGRES_URL'],
  [{ 'src/db.ts': 'process.env.PG_URI' }, 'PG_URI'],
  [{ '.env': 'DATABASE_URL=x\nDB_URL=y' }, 'DATABASE_URL'],
  [{}, 'DATABASE_URL'],
])('finds the variable of %j', async (files, databaseVariable) => {
  expect(await facts(files)).toMatchObject({ databaseVariable })
})

it.each([
  [depending({ dotenv: '^17.0.0' }), 'dotenv'],
  [{ 'package.json': { scripts: { dev: 'tsx --env-file=.env src/a.ts' } } }, 'node'],
  // A worker in production could not import it.
  [{ 'package.json': { devDependencies: { dotenv: '17.0.0' } }, '.env': '' }, 'node'],
  [{ ...depending({ dotenv: '^17.0.0', next: '16.0.0' }) }, 'next'],
  [{ '.env': '' }, 'node'],
  [{}, null],
])('finds how %j reads its .env', async (files, envFile) => {
  expect(await facts(files)).toMatchObject({ envFile })
})

it('finds how the product writes its code', async () => {
  expect(
    await facts({ 'src/a.ts': `import { b } from "./b";\n\nfunction c() {\n\treturn b;\n}\n` }),
  ).toMatchObject({ style: { semicolons: true, quote: '"', indent: '\t' } })
  expect(
    await facts({ 'src/a.ts': `import { b } from './b'\n\nfunction c() {\n    return b\n}\n` }),
  ).toMatchObject({ style: { semicolons: false, quote: "'", indent: '    ' } })
  const nested = `function c() {\n  try {\n    d()\n  } catch {\n    e()\n  }\n}\n`
  expect(await facts({ 'src/a.ts': nested })).toMatchObject({ style: { indent: '  ' } })
})

it('says where there is none', async () => {
  const root = await writeProduct({ 'package.json': '{ "name": ' })
  await expect(inspectProduct(root)).rejects.toThrow('package.json')
})
