import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readMigrationDirectories } from '../../../packages/db/src/readMigrationDirectories.ts'
import { withSchemaEngine } from '../../../packages/db/src/withSchemaEngine.ts'

const NO_FILTER = { externalTables: [], externalEnums: [] }

/** Applies the migrations of a package that has them in prisma/migrations, and returns the names of the new ones. */
export async function migrateDeploy(packageFolder: string, url: string): Promise<string[]> {
  const migrationsList = await listMigrations(packageFolder)
  return await withSchemaEngine(url, async (engine) => {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList,
      filters: NO_FILTER,
    })
    return appliedMigrationNames
  })
}

/** What `prisma migrate resolve --applied` does. */
export async function resolveApplied(
  packageFolder: string,
  url: string,
  migrationName: string,
): Promise<void> {
  const migrationsList = await listMigrations(packageFolder)
  await withSchemaEngine(url, (engine) =>
    engine.markMigrationApplied({ migrationName, migrationsList }),
  )
}

/** The SQL by which Prisma would create what the schema files say. */
export async function createScript(packageFolder: string, url: string): Promise<string> {
  const folder = join(packageFolder, 'prisma')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.prisma')).toSorted()
  const files = await Promise.all(
    names.map(async (name) => ({
      path: join(folder, name),
      content: await readFile(join(folder, name), 'utf8'),
    })),
  )
  return await withSchemaEngine(url, async (engine) => {
    const { stdout } = await engine.diff({
      from: { tag: 'empty' },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: null,
      filters: NO_FILTER,
    })
    return stdout ?? ''
  })
}

/** What `prisma migrate reset` does before it applies the migrations anew. */
export async function reset(url: string): Promise<void> {
  await withSchemaEngine(url, (engine) => engine.reset({ filter: NO_FILTER }))
}

async function listMigrations(packageFolder: string) {
  const baseDir = join(packageFolder, 'prisma/migrations')
  return {
    baseDir,
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(join(baseDir, 'migration_lock.toml'), 'utf8'),
    },
    shadowDbInitScript: '',
    migrationDirectories: await readMigrationDirectories(baseDir),
  }
}
