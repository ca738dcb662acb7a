// What makes a database ready and looks into it, without the generated client: programs that start need no more.
export { databaseProblem } from './databaseProblem.ts'
export { DEMO_PASSWORD, DEMO_USERS } from './demoAccounts.ts'
export { ENGINE_SCHEMA } from './engineSchema.ts'
export { migrate } from './migrate.ts'
export { missingMigrations } from './missingMigrations.ts'
export { MAX_PASSWORD_LENGTH } from './passwords.ts'
export { withConnection } from './withConnection.ts'
