import { posix } from 'node:path'
import type { Database, ProductFacts } from './inspectProduct.ts'

/** Paths of the files that init writes, relative to the root. */
export interface Places {
  /** The folder of definitions and handlers. */
  jobs: string
  /** The client that enqueues. */
  jobsClient: string
  /** Null if `roundsman dev` and `build` run the configuration instead. */
  worker: string | null
  config: string
  /** The file that serves the console, in a product on Next.js or Nuxt. */
  console: { route: string; basePath: string } | null
}

/** The product's code for its database client. */
export interface ClientCode {
  /** The ending of relative imports. */
  extension: string
  /** The name in the code that imports it. */
  name: string
  /** Its exported name; `default` for a default export. */
  exportedName: string
  /** The file that exports it, relative to the root. */
  path: string
  /** Returns the module specifier with which the file `from` imports the client, if relative imports end in `extension`. */
  sourceIn(from: string, extension: string): string
  /** The text of that file. Null if the product already has it. */
  file: string | null
  /** The import statement for a file of the product. */
  clientImport(from: string): string
  /** The imports of the handlers, for their types and to query the database. */
  handlerImports: readonly string[]
  /** The client's type, in the handlers' file. */
  type: string
  /** The body of a batch that reads the size of the database. */
  query: string
  /** An expression that closes the client. */
  close: string
}

const SQL = 'select (pg_database_size(current_database()) / 1048576)::int as megabytes'

/** Names for the import of a default export. */
const NAMES: Record<Database, string> = {
  prisma6: 'prisma',
  prisma7: 'prisma',
  drizzle: 'db',
  kysely: 'db',
  knex: 'knex',
  pg: 'pool',
  postgres: 'sql',
}

export function createClientCode(facts: ProductFacts, places: Places): ClientCode {
  const database = facts.database ?? 'pg'
  const { client, importExtension: extension } = facts
  const exportedName = client?.name ?? NAMES[database]
  const name = exportedName === 'default' ? NAMES[database] : exportedName
  const path = client?.path ?? `${places.jobs}/client.ts`
  /** The module specifier of the client: the name of its package, or a relative path. */
  const sourceIn = (from: string, ending: string) =>
    client?.isOfPackage ? path : relativeImport(from, path.replace(/\.[cm]?ts$/, ''), ending)
  const clientImport = (from: string) => {
    const source = sourceIn(from, extension)
    return `import ${exportedName === 'default' ? name : `{ ${name} }`} from '${source}';`
  }
  const { query, imports, close } = using(facts, database, name)
  return {
    extension,
    name,
    exportedName,
    path,
    sourceIn,
    file: client ? null : writeClient(facts, database, path),
    clientImport,
    handlerImports: [
      ...imports,
      clientImport(`${places.jobs}/handlers.ts`).replace('import ', 'import type '),
    ],
    type: `typeof ${name}`,
    query,
    close,
  }
}

function using(facts: ProductFacts, database: Database, name: string) {
  const first = 'return { megabytes: row?.megabytes ?? 0 };'
  const row = '{ megabytes: number }'
  switch (database) {
    case 'prisma6':
    case 'prisma7':
      return {
        imports: [],
        query: `const [row] = await tx.$queryRaw<${row}[]>\`\n  ${SQL}\`;\n${first}`,
        close: `${name}.$disconnect()`,
      }
    case 'drizzle':
      return {
        imports: [`import { sql } from 'drizzle-orm';`],
        query: `const ${facts.driver === 'pg' ? '{ rows: [row] }' : '[row]'} = await tx.execute<${row}>(sql\`\n  ${SQL}\`);\n${first}`,
        close: `${name}.$client.end()`,
      }
    case 'kysely':
      return {
        imports: [`import { sql } from 'kysely';`],
        query: `const { rows } = await sql<${row}>\`\n  ${SQL}\`.execute(tx);\nconst [row] = rows;\n${first}`,
        close: `${name}.destroy()`,
      }
    case 'knex':
      return {
        imports: [],
        query: `const { rows } = await tx.raw<{ rows: ${row}[] }>(\n  '${SQL}',\n);\nconst [row] = rows;\n${first}`,
        close: `${name}.destroy()`,
      }
    case 'pg':
      return {
        imports: [],
        query: `const { rows } = await tx.query<${row}>(\n  '${SQL}',\n);\nconst [row] = rows;\n${first}`,
        close: `${name}.end()`,
      }
    case 'postgres':
      return {
        imports: [],
        query: `const [row] = await tx<${row}[]>\`\n  ${SQL}\`;\n${first}`,
        close: `${name}.end()`,
      }
    default:
      return database satisfies never
  }
}

/** A client for worker and server, if the product exports none. It connects at the first statement. */
function writeClient(facts: ProductFacts, database: Database, path: string): string {
  // These have read it before they load a file of the product.
  const isRead = facts.framework === 'next' || facts.framework === 'nuxt' || database === 'prisma6'
  const { first, imported, reading } = readEnvFile(isRead ? { envFile: null } : facts)
  const given = `${reading}\nconst databaseUrl = ${environmentVariable(facts)} ?? '';\n`.trimStart()
  return `${first}${imported}${clientText(facts, database, path, given)}`
}

function clientText(facts: ProductFacts, database: Database, path: string, given: string): string {
  const hasInterop = facts.isModule || facts.compilerOptions.esModuleInterop
  const byDefault = (name: string, from: string) =>
    hasInterop ? `import ${name} from '${from}';` : `import ${name} = require('${from}');`
  switch (database) {
    case 'prisma6':
    case 'prisma7': {
      const from = facts.prismaClient ?? '@prisma/client'
      const source = from.startsWith('.')
        ? relativeImport(path, from, from.endsWith('/client') ? facts.importExtension : '/index.js')
        : from
      if (database === 'prisma6') {
        return `import { PrismaClient } from '${source}';\n\nexport const prisma = new PrismaClient();\n`
      }
      return `import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '${source}';

${given}
export const prisma = new PrismaClient({
  adapter: new PrismaPg({ connectionString: databaseUrl }),
});
`
    }
    case 'drizzle':
      if (facts.driver === 'postgres') {
        return `import { drizzle } from 'drizzle-orm/postgres-js';
${byDefault('postgres', 'postgres')}

${given}
export const db = drizzle(postgres(databaseUrl));
`
      }
      return `import { drizzle } from 'drizzle-orm/node-postgres';
import { Pool } from 'pg';

${given}
export const db = drizzle(new Pool({ connectionString: databaseUrl }));
`
    case 'kysely':
      return `import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';

${given}
// Replace unknown by the type of your tables.
export const db = new Kysely<unknown>({
  dialect: new PostgresDialect({ pool: new Pool({ connectionString: databaseUrl }) }),
});
`
    case 'knex':
      return `${byDefault('createKnex', 'knex')}

${given}
export const knex = createKnex({ client: 'pg', connection: databaseUrl });
`
    case 'pg':
      return `import { Pool } from 'pg';

${given}
export const pool = new Pool({ connectionString: databaseUrl });
`
    case 'postgres':
      return `${byDefault('postgres', 'postgres')}

${given}
export const sql = postgres(databaseUrl);
`
    default:
      return database satisfies never
  }
}

/** The lines with which a file reads the .env, if the product has one. A worker's command line has a flag for it. */
export function readEnvFile({ envFile }: Pick<ProductFacts, 'envFile'>) {
  const first = envFile === 'dotenv' ? `import 'dotenv/config';\n` : ''
  if (envFile === 'next') {
    return {
      first,
      imported: `import { existsSync } from 'node:fs';\n`,
      reading: `
// The two files of Next.js that do not depend on NODE_ENV. What is set already wins.
for (const file of ['.env.local', '.env']) if (existsSync(file)) process.loadEnvFile(file);
`,
    }
  }
  return envFile === 'node'
    ? {
        first,
        imported: `import { existsSync } from 'node:fs';\n`,
        reading: `\nif (existsSync('.env')) process.loadEnvFile();\n`,
      }
    : { first, imported: '', reading: '' }
}

export function environmentVariable({ databaseVariable, compilerOptions }: ProductFacts): string {
  return compilerOptions.noPropertyAccessFromIndexSignature
    ? `process.env['${databaseVariable}']`
    : `process.env.${databaseVariable}`
}

/** The module specifier of `to` in the file `from`: with the product's alias, if it has one, or a relative path. */
export function aliasedImport(
  { alias, importExtension }: ProductFacts,
  from: string,
  to: string,
): string {
  if (!alias || !to.startsWith(alias.folder)) return relativeImport(from, to, importExtension)
  return `${alias.prefix}${to.slice(alias.folder.length).replace(/\/index$/, '')}`
}

/** The path of an import in the file `from` of the file `to`. */
export function relativeImport(from: string, to: string, extension: string): string {
  const path = posix.relative(posix.dirname(from), to)
  const quotable = path.replaceAll(
    /['"\\]/g,
    (each) => String.raw`\u00${each.charCodeAt(0).toString(16)}`,
  )
  return `${path.startsWith('.') ? '' : './'}${quotable}${extension}`
}
