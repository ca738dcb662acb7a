import type { Files } from '../../../packages/cli/test/init/product.ts'

export interface TriedProduct {
  name: string
  files: Files
  /** The compilers that take its settings: TypeScript 7 dropped `moduleResolution: node10`. */
  compilers: readonly (5 | 7)[]
  /** Whether it is built and started as well, or the CLI alone runs its jobs. */
  runs: 'worker' | 'once' | null
  /** Its server, with the lines that init tells people to add. Once started, it listens at PORT. */
  server?: (lines: { imported: string; registered: string }) => string
}

/** The host's log-in, which `authorize` in those lines asks. */
const LOG_IN = `
const isAdmin = (request: { headers: object }): boolean => nameOf(request) !== ''
const nameOf = ({ headers }: { headers: object }): string =>
  headers instanceof Headers
    ? (headers.get('x-user') ?? '')
    : String((headers as Record<string, unknown>)['x-user'] ?? '')
`

/** The compiler's own libraries need not be checked: a quarter of the time of an older compiler. */
const CHECKED = { skipLibCheck: false, skipDefaultLibCheck: true }
const NEXT = {
  target: 'es2022',
  module: 'nodenext',
  types: ['node'],
  rootDir: 'src',
  outDir: 'dist',
  strict: true,
  ...CHECKED,
}
/** Some foreign declarations have errors, so products with them have to skip these. */
const UNCHECKED = { skipLibCheck: true }
const NODE10 = {
  target: 'es2022',
  module: 'commonjs',
  moduleResolution: 'node10',
  types: ['node'],
  rootDir: 'src',
  outDir: 'dist',
  strict: true,
  esModuleInterop: true,
  ...CHECKED,
}
const BUNDLER = { ...NEXT, module: 'esnext', moduleResolution: 'bundler' }

const POOL = `import { Pool } from 'pg'

export const pool = new Pool({ connectionString: process.env.DATABASE_URL })
`

function product(
  dependencies: Record<string, string>,
  compilerOptions: object,
  files: Files,
  more: object = {},
): Files {
  return {
    'package.json': {
      name: 'shop',
      version: '1.0.0',
      scripts: { build: 'tsc' },
      dependencies,
      devDependencies: { typescript: '^5.9.0' },
      ...more,
    },
    'tsconfig.json': { compilerOptions, include: ['src'] },
    ...files,
  }
}

const MODULE = { type: 'module' }

export const PRODUCTS: readonly TriedProduct[] = [
  {
    name: 'pg, CommonJS, node10, Express, npm',
    files: product(
      { pg: '^8.0.0', express: '^5.0.0', '@types/express': '^5.0.0', zod: '^4.0.0' },
      NODE10,
      {
        'package-lock.json': {},
        'src/db.ts': POOL,
      },
    ),
    compilers: [5],
    runs: 'worker',
    server: ({ imported, registered }) => `import express from 'express'
${imported}
${LOG_IN}
const app = express()
${registered}
app.use(express.json())
app.get('/own', (_request, response) => void response.json({ own: true }))
app.listen(Number(process.env.PORT))
`,
  },
  {
    name: 'nothing yet, ES modules, nodenext, Fastify, pnpm',
    files: product(
      { fastify: '^5.0.0' },
      NEXT,
      { 'pnpm-lock.yaml': '', 'src/server.ts': 'export const port = 3000\n' },
      { ...MODULE, scripts: { build: 'tsc', test: 'node --test dist' } },
    ),
    compilers: [5, 7],
    runs: 'worker',
    server: ({ imported, registered }) => `import Fastify from 'fastify'
${imported}
${LOG_IN}
const app = Fastify()
${registered}
app.get('/own', async () => ({ own: true }))
await app.listen({ port: Number(process.env.PORT) })
`,
  },
  {
    name: 'Drizzle over pg, ES modules, bundler, yarn',
    files: product(
      { 'drizzle-orm': '^0.45.0', pg: '^8.0.0', zod: '^4.0.0' },
      { ...BUNDLER, ...UNCHECKED },
      {
        'yarn.lock': '',
        'src/db.ts': `import { drizzle } from 'drizzle-orm/node-postgres'

export const db = drizzle(process.env.DATABASE_URL ?? '')
`,
        'src/other.ts': `import { db } from './db'\n\nexport const again = db\n`,
      },
      MODULE,
    ),
    compilers: [7],
    runs: null,
  },
  {
    name: 'Drizzle over postgres.js, ES modules, nodenext',
    files: product(
      { 'drizzle-orm': '^0.45.0', postgres: '^3.4.0' },
      { ...NEXT, ...UNCHECKED },
      {},
      MODULE,
    ),
    compilers: [7],
    runs: null,
  },
  {
    name: 'Kysely, CommonJS, nodenext, Express',
    files: product({ kysely: '^0.29.0', pg: '^8.0.0', express: '^5.0.0' }, NEXT, {
      'src/database.ts': `import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';

interface Tables {
  berth: { id: number };
}

export const database = new Kysely<Tables>({
  dialect: new PostgresDialect({ pool: new Pool({ connectionString: process.env.DATABASE_URL }) }),
});
`,
    }),
    compilers: [7],
    runs: null,
  },
  {
    name: 'Knex as a default export, ES modules, nodenext, Hono',
    files: product(
      {
        knex: '^3.0.0',
        pg: '^8.0.0',
        hono: '^4.0.0',
        '@hono/node-server': '^2.0.0',
        zod: '^4.0.0',
      },
      NEXT,
      {
        'src/knex.ts': `import createKnex from 'knex'

const knex = createKnex({ client: 'pg', connection: process.env.DATABASE_URL ?? '' })

export default knex
`,
      },
      MODULE,
    ),
    compilers: [7],
    runs: 'worker',
    server: ({ imported, registered }) => `import { serve } from '@hono/node-server'
import { Hono } from 'hono'
${imported}
${LOG_IN}
const app = new Hono()
${registered}
app.get('/own', (context) => context.json({ own: true }))
serve({ fetch: app.fetch, port: Number(process.env.PORT) })
`,
  },
  {
    name: 'postgres.js, ES modules, nodenext',
    files: product(
      { postgres: '^3.4.0', vitest: '^5.0.0' },
      { ...NEXT, ...UNCHECKED },
      {
        'src/sql.ts': `import postgres from 'postgres'

export const sql = postgres(process.env.DATABASE_URL ?? '')
`,
      },
      MODULE,
    ),
    compilers: [7],
    runs: 'worker',
  },
  {
    name: 'pg, ES modules, every strict setting',
    files: product(
      { pg: '^8.0.0', pino: '^10.0.0', zod: '^4.0.0' },
      {
        ...NEXT,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noPropertyAccessFromIndexSignature: true,
        noUnusedLocals: true,
        noUnusedParameters: true,
        noImplicitReturns: true,
        verbatimModuleSyntax: true,
        isolatedModules: true,
        declaration: true,
      },
      { 'src/db.ts': POOL.replace('process.env.DATABASE_URL', `process.env['DATABASE_URL']`) },
      MODULE,
    ),
    compilers: [5, 7],
    runs: null,
  },
  {
    name: 'pg, ES modules, .ts in imports, no include',
    files: {
      ...product(
        { pg: '^8.0.0', dotenv: '^17.0.0' },
        {
          ...NEXT,
          rootDir: '.',
          erasableSyntaxOnly: true,
          rewriteRelativeImportExtensions: true,
        },
        {
          'src/db.ts': POOL,
          'src/other.ts': `import { pool } from './db.ts'\n\nexport const again = pool\n`,
        },
        MODULE,
      ),
      'tsconfig.json': {
        compilerOptions: {
          ...NEXT,
          rootDir: '.',
          erasableSyntaxOnly: true,
          rewriteRelativeImportExtensions: true,
        },
        exclude: ['node_modules', 'dist'],
      },
    },
    compilers: [7],
    runs: 'worker',
  },
  {
    name: 'a package of a monorepo, path aliases, enums',
    files: product(
      { pg: '^8.0.0' },
      { ...BUNDLER, paths: { '~/*': ['./src/*'] } },
      {
        'src/storage/index.ts': `import { Pool } from 'pg'
import { Place } from '~/place'

export const pool = new Pool({
  connectionString: process.env.DATABASE_URL,
  application_name: Place.Shop,
})
`,
        'src/place.ts': `export enum Place {\n  Shop = 'shop',\n}\n`,
      },
      MODULE,
    ),
    compilers: [7],
    runs: 'once',
  },
  {
    name: 'pg, CommonJS, decorators, Nest',
    files: product(
      {
        pg: '^8.0.0',
        '@nestjs/common': '^12.0.0',
        '@nestjs/core': '^12.0.0',
        '@nestjs/platform-express': '^12.0.0',
        'reflect-metadata': '^0.2.0',
        rxjs: '^7.0.0',
      },
      { ...NEXT, ...UNCHECKED, experimentalDecorators: true, emitDecoratorMetadata: true },
      { 'src/db.ts': POOL },
      { scripts: { build: 'nest build' } },
    ),
    compilers: [5],
    runs: 'worker',
    server: ({ imported, registered }) => `import 'reflect-metadata'
import { Controller, Get, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
${imported}
${LOG_IN}
@Controller()
class Own {
  @Get('/own')
  own(): object {
    return { own: true }
  }
}

@Module({ controllers: [Own] })
class Shop {}

async function main(): Promise<void> {
  const app = await NestFactory.create(Shop, { logger: false })
${registered}
  await app.listen(Number(process.env.PORT))
}

void main()
`,
  },
  {
    name: 'Prisma 7 in a folder of its own, ES modules, nodenext, valibot, vitest',
    files: product(
      {
        '@prisma/adapter-pg': '^7.0.0',
        '@prisma/client': '^7.0.0',
        valibot: '^1.0.0',
        vitest: '^5.0.0',
      },
      { ...NEXT, ...UNCHECKED },
      { 'prisma/schema.prisma': prismaSchema('../src/generated/prisma') },
      MODULE,
    ),
    compilers: [7],
    runs: 'worker',
  },
  {
    name: 'Prisma 7 that the product exports, CommonJS, node10, arktype',
    files: product(
      { '@prisma/adapter-pg': '^7.0.0', '@prisma/client': '^7.0.0', arktype: '^2.0.0' },
      { ...NEXT, ...UNCHECKED },
      {
        'prisma/schema.prisma': prismaSchema('../src/generated', 'moduleFormat = "cjs"'),
        'src/prisma.ts': `import { PrismaPg } from '@prisma/adapter-pg'
import { PrismaClient } from './generated/client.js'

export const prisma = new PrismaClient({
  adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL ?? '' }),
}).$extends({ name: 'shop' })
`,
      },
    ),
    compilers: [7],
    runs: null,
  },
]

function prismaSchema(output: string, more = ''): string {
  return `generator client {
  provider = "prisma-client"
  output   = "${output}"
  ${more}
}

datasource db {
  provider = "postgresql"
}

model Berth {
  id Int @id
}
`
}
