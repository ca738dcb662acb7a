import { cleanup } from './cleanup/cleanup.ts'
import { idle } from './idle/idle.ts'
import { latency } from './latency/latency.ts'
import { requests } from './requests/requests.ts'
import type { Scenario } from './scenario.ts'
import { runs } from './runs/runs.ts'
import { schedules } from './schedules/schedules.ts'
import { startup } from './startup/startup.ts'
import { throughput } from './throughput/throughput.ts'

/** In the order of the report. */
export const scenarios: readonly Scenario[] = [
  throughput,
  latency,
  cleanup,
  runs,
  schedules,
  idle,
  startup,
  requests,
]
