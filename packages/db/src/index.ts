export {
  createDatabaseClient,
  type DatabaseClient,
  type DatabaseClientOptions,
} from './createDatabaseClient.ts'
export {
  acquireDatabase,
  hasDatabase,
  type AcquiredDatabase,
  type DatabaseEnvironment,
} from './acquireDatabase.ts'
export { DEMO_PASSWORD, DEMO_USERS, findDemoPasswords } from './demoAccounts.ts'
export { databaseProblem, examineDatabase, type ExaminedDatabase } from './databaseProblem.ts'
export { describeTablesError } from './describeTablesError.ts'
export { ENGINE_SCHEMA } from './engineSchema.ts'
export { migrate } from './migrate.ts'
export { missingMigrations } from './missingMigrations.ts'
export {
  hashPassword,
  MAX_PASSWORD_LENGTH,
  TooManyHashesError,
  verifyPassword,
} from './passwords.ts'
export { changePassword, createUser, MIN_PASSWORD_LENGTH, passwordProblem } from './accounts.ts'
export * from './generated/client.ts'
