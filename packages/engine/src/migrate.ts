export {
  checkMigrations,
  foreseeMove,
  migrate,
  MigrationDeniedError,
  MigrationRefusedError,
  type ForeseenMove,
  type MigrateOptions,
  type TablesCheck,
} from './store/migrate.ts'
export { migrationSql, type MigrationSqlOptions } from './store/migrationSql.ts'
export { prismaModels, type PrismaModels } from './store/prismaModels.ts'
export { TablesError, type TablesState } from './store/tablesState.ts'
export { uninstallSql } from './store/uninstallSql.ts'
