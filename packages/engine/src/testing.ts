// First, since the imports below may need a newer Node to load.
import './nodeVersion.ts'
export { openTestJobs, type TestJobsOptions } from './testing/openTestJobs.ts'
export type {
  Advance,
  DrainOptions,
  ExpectedWork,
  TestDuration,
  TestJobs,
  TestRun,
  TestRunOptions,
  EnqueuedWork,
} from './testing/testJobs.ts'
