export {
  acquireEmbeddedPostgres,
  type AcquireEmbeddedPostgresOptions,
  type EmbeddedPostgres,
} from './acquireEmbeddedPostgres.ts'
export { findFreePort } from './findFreePort.ts'
export { hasEmbeddedPostgres } from './hasEmbeddedPostgres.ts'
