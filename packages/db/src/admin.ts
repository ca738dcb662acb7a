// Prepares and inspects a database without the generated client, whose loading would slow down programs that start.
export { databaseProblem } from './databaseProblem.ts'
export { DEMO_PASSWORD, DEMO_USERS } from './demoAccounts.ts'
export { ENGINE_SCHEMA } from './engineSchema.ts'
export { migrate } from './migrate.ts'
export { missingMigrations } from './missingMigrations.ts'
export { MAX_PASSWORD_LENGTH } from './passwords.ts'
export { withConnection } from './withConnection.ts'
