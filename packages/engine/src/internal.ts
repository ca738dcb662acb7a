/**
 * Exports for the packages of this repository only, such as the Fastify plugin and the command line. No promises: a name here
 * may change or disappear with any version, without a line in the changelog.
 */
export { CLIENT_PROTOCOL } from './client/createJobsClient.ts'
export { MANY_KINDS, PASSED_REASONS } from './control/actOnMany.ts'
export { MAX_SHOWN_PAYLOAD_BYTES } from './control/showPayload.ts'
export { judge, payloadProblem, type PayloadIssue } from './values/askSchema.ts'
export {
  asItIs,
  checkBoolean,
  checkDate,
  checkFunction,
  checkOptions,
  checkParts,
  checkActorText,
  checkText,
  checkTimerMs,
  listOf,
  loggerOf,
  nullable,
  objectOf,
  oneOf,
  optional,
  tell,
  wholeNumber,
  type Check,
  type Checked,
} from './values/argument.ts'
export { checkJobs, KEY_ORDERS, MISSED_POLICIES, OVERLAP_POLICIES } from './arguments/jobs.ts'
export { KEY_SORTS, MAX_COUNTED_LETTERS, RUN_STATUSES, WORK_ORDERS } from './arguments/queries.ts'
export { keyProblem, type KeyOrder } from './job/limits.ts'
export { JOB_TRIGGERS, RUN_OUTCOMES } from './arguments/queries.ts'
export type { GuardCount, JobTrigger } from './job/handler.ts'
export { listBlockedKeys, listStoppedLimits } from './judge/findBlockers.ts'
export { isFailing, readFailures } from './judge/findFailing.ts'
export { describeBacklog } from './judge/findWaiting.ts'
export { judgeJobs } from './judge/judgeJobs.ts'
export { measureBacklog } from './judge/measureBacklog.ts'
export { PROBLEM_KINDS, PROBLEM_STAGES } from './judge/problem.ts'
export { countEqualFailures } from './read/countEqualFailures.ts'
export { hideMessages } from './read/hideMessages.ts'
export {
  countRuns,
  findOldestStart,
  type HourOfRuns,
  measureDuration,
  type SpanOfRuns,
  tallyRunsByHour,
} from './read/countRuns.ts'
export { CLAIM as CLAIM_STATEMENT } from './queue/claimWork.ts'
export { WRITE_PLAIN as WRITE_PLAIN_STATEMENT } from './queue/endRuns.ts'
export type { NamedStatement } from './database/prepared.ts'
export { readAddress } from './database/connectionProblem.ts'
export { findPooler, knownPooler, PoolerError } from './database/findPooler.ts'
export { listRunWaits, type RunWait } from './read/listLockWaits.ts'
export { isSnapshotOld, nameSnapshotHolder } from './read/getOldestSnapshot.ts'
export { describeConnections, findFewConnections } from './read/findFewConnections.ts'
export { describeUnvacuumed, listUnvacuumed } from './read/listUnvacuumed.ts'
export { EXPLAINED_STATES, WAIT_CAUSES, WAIT_REASONS } from './read/explainWork.ts'
export { findWorkOfRun } from './read/findWorkOfRun.ts'
export {
  findLastAction,
  findLastActionOfJob,
  type EarlierAction,
  listJobActions,
  listRunActions,
  listScheduleActions,
} from './read/jobActions.ts'
export type { JobActionKind } from './queue/recordActions.ts'
export { listOtherAttempts, MAX_LOOKED_AT } from './read/jobRuns.ts'
export { listJobTicks, listRecentKeyedTicks, listRecentTicks } from './read/jobTicks.ts'
export { judgeSchedule } from './read/listSchedules.ts'
export {
  countLettersOfRuns,
  type DeadLetterFilter,
  findDeadLetterName,
  listDeadLetterCodes,
} from './read/listDeadLetters.ts'
export { GROUPED_BY, groupDeadLetters, groupWaitingWork, MAX_GROUPED } from './read/listGroups.ts'
export { findSignal } from './job/signal.ts'
export { namesOfStep, stepResultProblem } from './job/step.ts'
export { CHILD_STATES, findStepsDoneAgain, listChildren } from './read/listSteps.ts'
export { countWaitingWork, sumWaitingWork } from './read/listWaitingWork.ts'
export { isWorkerSilent, listVersionChanges, listVersionStarts } from './read/listWorkers.ts'
export { countQueue } from './read/getQueueStats.ts'
export {
  jobsWithoutWorker,
  type PausedQueue,
  readPausedQueues,
  withOtherJobs,
} from './read/readQueues.ts'
export type { Statement } from './read/reader.ts'
export { listRecentRuns } from './read/recentRuns.ts'
export { type LinkedRun, readRunLinks, type RunLinks } from './read/runLinks.ts'
export { countKeyedSchedules } from './read/listKeyedSchedules.ts'
export { type LanesInUse, listLanesInUse } from './read/runsUnderWay.ts'
export { listRunCounts } from './read/listRunCounts.ts'
export { searchRuns } from './read/search.ts'
export { searchWork } from './read/searchWork.ts'
export {
  listJobsInFlight,
  listSignalsInFlight,
  listStepsInFlight,
  MAX_IN_FLIGHT,
  readSignalPayloads,
  readStepResults,
} from './read/stepsInFlight.ts'
export { connectionProblem } from './database/connectionProblem.ts'
export {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  readAskedSettings,
} from './database/connectionSettings.ts'
export { containedLog } from './database/containedLog.ts'
export { RUNS_UNDER_WAY } from './queue/heldRuns.ts'
export { importPgBoss, type LeftBehind, type PgBossImport } from './tables/importPgBoss.ts'
export { isConnectionLoss } from './database/isConnectionLoss.ts'
export { isReadOnly } from './database/sqlState.ts'
export { exportRows } from './tables/exportRows.ts'
export { arePlacesBehind } from './queue/mendPlaces.ts'
export { checkMigrations, migrationSql } from './tables/migrate.ts'
export { prismaModels } from './tables/prismaModels.ts'
export { statementName } from './database/schema.ts'
export { LIMIT_WAITS_SQL, tellWaits, tryUntilFree } from './database/waitForLocks.ts'
export { uninstallSql } from './tables/uninstallSql.ts'
export { TICK_OUTCOMES } from './tick/decideTicks.ts'
export { KEYED_OVERLAPS } from './tick/storedSchedule.ts'
export { createLocalTime, type LocalTime } from './tick/localTime.ts'
export { isTimeOfDay, nextTicks } from './tick/nextTicks.ts'
