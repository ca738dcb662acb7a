export {
  migrate,
  type MigrateOptions,
  MigrationDeniedError,
  MigrationRefusedError,
} from './store/migrate.ts'
export type { TablesState } from './store/tablesState.ts'
