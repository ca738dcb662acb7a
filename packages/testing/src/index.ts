export { createProxy, type Proxy } from './createProxy.ts'
export {
  createTestDatabase,
  type CreateTestDatabaseOptions,
  type TestDatabase,
} from './createTestDatabase.ts'
export { fakeClock, type FakeClock } from './fakeClock.ts'
export {
  spawnProcess,
  type ProcessExit,
  type SpawnedProcess,
  type SpawnProcessOptions,
} from './spawnProcess.ts'
export { waitFor, type WaitForOptions } from './waitFor.ts'
