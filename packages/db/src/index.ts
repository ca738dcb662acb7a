export { createDatabaseClient, type DatabaseClientOptions } from './client.ts'
export { migrate } from './migrate.ts'
export * from './generated/client.ts'
