import { createSchema, PUBLIC } from '../database/schema.ts'
import { ENUMS, TABLES } from './uninstallSql.ts'

export interface PrismaModels {
  /** A Prisma schema file for reading runs, to put beside the host's own. */
  models: string
  /** The lines for `prisma.config.ts` that keep Prisma's migrations off the tables. Needs Prisma ≥ 6.13. */
  config: string
}

/**
 * Returns the schema and configuration with which a host reads its runs through Prisma. A host that does not read them needs
 * nothing if Roundsman has a separate schema, since Prisma does not look into it. It needs only `config` if the tables are in
 * `public`.
 */
export function prismaModels({ schema: name }: { schema?: string | undefined } = {}): PrismaModels {
  const schema = createSchema(name)
  const place = schema.name === PUBLIC ? '' : `\n\n  @@schema("${schema.name}")`
  const models = `// Roundsman's: read it, and let nobody else write. \`npx roundsman migrate\` makes and changes the tables.

enum JobRunStatus {
  running
  success
  failed
  suspended${place}
}

enum JobTrigger {
  schedule
  queue
  manual
  cli${place}
}

/// One execution of a job.
model JobRun {
  id           String       @id @db.Uuid
  name         String
  status       JobRunStatus
  trigger      JobTrigger
  //   /// 1 for the first delivery; each redelivery is another run.
  attempt      Int          @default(1)
  //   /// The tick's instant, if a schedule started it.
  scheduledFor DateTime?    @db.Timestamptz(3)
  startedAt    DateTime     @default(now()) @db.Timestamptz(3)
  /// Null while it runs.
  endedAt      DateTime?    @db.Timestamptz(3)
  /// Exact counts, and { error: { code, message } } when it failed.
  details      Json?
  dryRun       Boolean      @default(false)
  actor        String?
  reason       String?
  /// The work that it is an attempt at.
  workId       String?      @db.Uuid
  workerId     String
  /// details.error.code, and set if and only if it failed.
  errorCode    String?
  createdAt    DateTime     @default(now()) @db.Timestamptz(3)${place}
}
`
  const list = (names: readonly string[]) =>
    names.map((one) => `      '${schema.name}.${one}',\n`).join('')
  const config = `  experimental: { externalTables: true },
  tables: {
    external: [
${list(TABLES)}    ],
  },
  enums: {
    external: [
${list(ENUMS)}    ],
  },
`
  return { models, config }
}
