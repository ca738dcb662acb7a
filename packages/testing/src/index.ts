export { createDatabase, dropDatabase } from './adminConnection.ts'
export { buildConsole } from './buildConsole.ts'
export { collectOutput } from './collectOutput.ts'
export { createOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from './createOtlpReceiver.ts'
export { createPooler, type CreatePoolerOptions, type Pooler } from './createPooler.ts'
export { createProxy, type Proxy } from './createProxy.ts'
export {
  createSmtpServer,
  type CreateSmtpServerOptions,
  type ReceivedMessage,
  type SmtpMoment,
  type SmtpReaction,
  type SmtpServer,
} from './createSmtpServer.ts'
export {
  createTestDatabase,
  type CreateTestDatabaseOptions,
  type TestDatabase,
} from './createTestDatabase.ts'
export { createUserOfEachRole } from './createUserOfEachRole.ts'
export { emptyTables } from './emptyTables.ts'
export { expectInvalid, expectProblem, UNKNOWN_ID } from './expectProblem.ts'
export { fakeClock, type FakeClock } from './fakeClock.ts'
export {
  foreignLocks,
  listEngineTables,
  takeForeignLocks,
  type ForeignLocks,
} from './foreignLocks.ts'
export { expectNotToBegin, expectToBegin } from './heldStart.ts'
export { HOLD_RUNS_SQL } from './holdRuns.ts'
export { emptyQueue, listQueue, QUEUE, setWork } from './listQueue.ts'
export { localhostCertificate } from './localhostCertificate.ts'
export { makeServerFolder } from './makeServerFolder.ts'
export { readWorkState } from './readWorkState.ts'
export { openForTests } from './openForTests.ts'
export { NOT_DURABLE, openThrowawayPostgres } from './openThrowawayPostgres.ts'
export { openMonitor, type Monitor } from './openMonitor.ts'
export {
  openBrowser,
  type Browser,
  type BrowserContext,
  type Locator,
  type Page,
  type Request,
  type Route,
} from './openBrowser.ts'
export {
  makeEnvironment,
  spawnProcess,
  type ProcessExit,
  type SpawnedProcess,
  type SpawnProcessOptions,
} from './spawnProcess.ts'
export { waitFor, type WaitForOptions } from './waitFor.ts'
