import type { Files } from '../../../packages/cli/test/init/product.ts'

export interface TriedProduct {
  name: string
  files: Files
  /** Which compilers take its settings: TypeScript 7 has no `moduleResolution: node10` any more. */
  compilers: readonly (5 | 7)[]
  /** Whether it is built and started too, or its jobs are run by the CLI alone. */
  runs: 'worker' | 'once' | null
}

const NEXT = {
  target: 'es2022',
  module: 'nodenext',
  types: ['node'],
  rootDir: 'src',
  outDir: 'dist',
  strict: true,
  skipLibCheck: false,
}
/** Declarations of theirs do not pass, so whoever has them has to say so. */
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
  skipLibCheck: false,
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
    files: product({ pg: '^8.0.0', express: '^5.0.0', zod: '^4.0.0' }, NODE10, {
      'package-lock.json': {},
      'src/db.ts': POOL,
    }),
    compilers: [5],
    runs: 'worker',
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
    runs: 'worker',
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
    runs: 'worker',
  },
  {
    name: 'Knex, CommonJS, node10',
    files: product({ knex: '^3.0.0', pg: '^8.0.0' }, NODE10, {}),
    compilers: [5],
    runs: null,
  },
  {
    name: 'Knex as a default export, ES modules, nodenext, Hono',
    files: product(
      { knex: '^3.0.0', pg: '^8.0.0', hono: '^4.0.0', zod: '^4.0.0' },
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
]
