// First, since the imports below may need a newer Node to load.
import './nodeVersion.ts'
export {
  migrate,
  type MigrateOptions,
  MigrationDeniedError,
  MigrationRefusedError,
} from './tables/migrate.ts'
