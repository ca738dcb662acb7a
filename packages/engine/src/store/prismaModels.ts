import { getUninstallPlans } from 'pg-boss'
import { createSchema, PUBLIC, type Schema } from './schema.ts'
import { ENUMS, TABLES } from './uninstallSql.ts'

export interface PrismaModels {
  /** A schema file of Prisma's, to be put beside the host's: for reading runs. */
  models: string
  /** What `prisma.config.ts` has to say, so that Prisma's own migrations leave the tables alone. Needs Prisma ≥ 6.13. */
  config: string
}

/**
 * How a host reads its runs by Prisma. Who does not need that needs nothing of this in a schema of Roundsman's own, which
 * Prisma does not look into, and in `public` the lines for the configuration alone.
 */
export function prismaModels({ schema: name }: { schema?: string | undefined } = {}): PrismaModels {
  const schema = createSchema(name)
  const place = schema.name === PUBLIC ? '' : `\n\n  @@schema("${schema.name}")`
  const models = `// Roundsman's: read it, and let nobody else write. \`npx roundsman migrate\` makes and changes the tables.

enum JobRunStatus {
  running
  success
  failed${place}
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
  /// 1 for the first delivery; a redelivery is a run of its own.
  attempt      Int          @default(1)
  /// The instant the schedule named, when a schedule started it.
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
  queueJobId   String?      @db.Uuid
  workerId     String
  /// details.error.code, and set if and only if it failed.
  errorCode    String?
  createdAt    DateTime     @default(now()) @db.Timestamptz(3)${place}
}
`
  const list = (names: readonly string[]) =>
    names.map((one) => `      '${schema.name}.${one}',\n`).join('')
  // Whoever reads models of our schema has Prisma look into it.
  const queue = schema.name === PUBLIC ? { tables: [], enums: [] } : findQueueObjects(schema)
  const config = `  experimental: { externalTables: true },
  tables: {
    external: [
${list([...TABLES, ...queue.tables])}    ],
  },
  enums: {
    external: [
${list([...ENUMS, ...queue.enums])}    ],
  },
`
  return { models, config }
}

/** Without partitions, which Prisma passes over. */
function findQueueObjects(schema: Schema): { tables: string[]; enums: string[] } {
  const plans = getUninstallPlans(schema.queue)
  const listed = (kind: string) => {
    const [, list = ''] = new RegExp(`DROP ${kind} IF EXISTS ([^;]*);`).exec(plans) ?? []
    return list.split(', ').map((name) => name.split('.').at(-1) ?? '')
  }
  return { tables: listed('TABLE'), enums: listed('TYPE') }
}
