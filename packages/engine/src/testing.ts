export { openTestJobs, type TestJobsOptions } from './testing/openTestJobs.ts'
export type {
  Advance,
  DrainOptions,
  ExpectedWork,
  TestDuration,
  TestJobs,
  TestRun,
  TestRunOptions,
  WaitingWork,
} from './testing/testJobs.ts'
