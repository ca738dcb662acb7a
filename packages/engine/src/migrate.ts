export { TablesError } from './store/tablesState.ts'
export { migrate, type MigrateOptions } from './store/migrate.ts'
