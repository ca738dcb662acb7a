export { migrate, type MigrateOptions } from './store/migrate.ts'
