import { z } from 'zod'

/** A tool that asks the console's own API, which checks and redacts. */
export interface Tool {
  description: string
  input: z.ZodObject
  /** The route. A part such as `:id` takes the argument of that name; other arguments become the query, or the body. */
  route: `${'GET' | 'POST' | 'DELETE'} /${string}`
}

const name = z.string().describe('The name of the job')
const id = z.guid().describe('The id of the run')
const workId = z.guid().describe('The id of the work')
const instant = z.iso.datetime()
const limit = z.int().min(1).max(200).optional().describe('Default: 50')
const cursor = z.string().optional().describe('nextCursor of the page before')
const reason = z.string().min(1).max(500).describe('Why. It is recorded with who asked')
const dryRun = z.boolean().optional().describe('Roll back changes made through batches')

/** Tools that change nothing. */
export const READS: Readonly<Record<string, Tool>> = {
  problems: {
    description:
      'Shows whether all is well: problems that need attention, workers, backlog, the next scheduled runs, and outcomes of the last day by the hour. Begin here.',
    input: z.object({}),
    route: 'GET /console/overview',
  },
  jobs: {
    description: 'Lists all jobs with their schedules, latest runs and waiting work.',
    input: z.object({}),
    route: 'GET /console/jobs',
  },
  job: {
    description: 'Shows a job: settings, calendar, durations and next runs.',
    input: z.object({ name }),
    route: 'GET /console/jobs/:name',
  },
  runs: {
    description: 'Lists runs, newest first.',
    input: z.object({
      name: name.optional(),
      status: z.string().optional().describe('Such as running, success, failed or suspended'),
      errorCode: z.string().optional(),
      workId: workId.optional().describe('All attempts at this work'),
      from: instant.optional().describe('Started at this instant or later'),
      to: instant.optional().describe('Started before this instant'),
      limit,
      cursor,
    }),
    route: 'GET /jobs/runs',
  },
  run: {
    description: 'Shows a run: its error, other attempts, steps and waits, log lines and activity.',
    input: z.object({ id }),
    route: 'GET /jobs/runs/:id',
  },
  waiting_work: {
    description: 'Lists waiting work, in the order in which it starts.',
    input: z.object({ name: name.optional(), key: z.string().optional(), limit, cursor }),
    route: 'GET /jobs/work',
  },
  explain_work: {
    description: 'Explains why a piece of work waits, or what became of it.',
    input: z.object({ workId }),
    route: 'GET /jobs/work/:workId/explain',
  },
  steps: {
    description:
      'Lists the steps of a piece of work, over all its runs: what is done, waits, is retried or in doubt, who sent signals, and how many children are left.',
    input: z.object({ workId }),
    route: 'GET /jobs/work/:workId/steps',
  },
  dead_letters: {
    description: 'Lists work that was given up after its last attempt, with the last error.',
    input: z.object({ name: name.optional(), errorCode: z.string().optional(), limit, cursor }),
    route: 'GET /jobs/dead-letters',
  },
  limits: {
    description: 'Lists the limits on jobs and groups of jobs, and how much of each is in use.',
    input: z.object({}),
    route: 'GET /jobs/limits',
  },
  schedules: {
    description: 'Lists the schedules of a job that are kept as data, such as one a customer.',
    input: z.object({
      name,
      search: z.string().optional().describe('How the key begins'),
      limit,
      cursor,
    }),
    route: 'GET /jobs/named/:name/schedules',
  },
  ticks: {
    description: 'Lists the instants at which a schedule was due, and what became of each.',
    input: z.object({ name, limit, cursor }),
    route: 'GET /jobs/named/:name/ticks',
  },
  workers: {
    description: 'Lists the workers of the last day, and what each runs.',
    input: z.object({}),
    route: 'GET /console/workers',
  },
  search: {
    description: 'Searches jobs, schedules, keys, waiting work, dead letters, runs and workers.',
    input: z.object({ q: z.string().min(1).max(200).describe('A name, label, key or id') }),
    route: 'GET /console/search',
  },
}

/** Tools that change something. Each is recorded with who asked and why. */
export const ACTS: Readonly<Record<string, Tool>> = {
  run_job: {
    description: 'Requests a run of a job.',
    input: z.object({
      name,
      reason,
      payload: z.record(z.string(), z.unknown()).optional(),
      dryRun,
    }),
    route: 'POST /jobs/named/:name/run',
  },
  run_again: {
    description: 'Requests a new run with the payload of an earlier one.',
    input: z.object({ id, reason, dryRun }),
    route: 'POST /jobs/runs/:id/run-again',
  },
  cancel_run: {
    description: 'Cancels a run under way.',
    input: z.object({ id, reason }),
    route: 'POST /jobs/runs/:id/cancel',
  },
  approve_run: {
    description: 'Approves a run that its guard blocked, for as many rows as the guard counted.',
    input: z.object({ id, reason }),
    route: 'POST /jobs/runs/:id/approve',
  },
  pause_schedule: {
    description: 'Pauses the schedule of a job. Work that waits still runs.',
    input: z.object({ name, reason }),
    route: 'POST /jobs/named/:name/pause',
  },
  resume_schedule: {
    description: 'Resumes the schedule of a job.',
    input: z.object({ name, reason }),
    route: 'POST /jobs/named/:name/resume',
  },
  pause_queue: {
    description: 'Pauses the queue of a job. Runs under way continue.',
    input: z.object({ name, reason }),
    route: 'POST /jobs/named/:name/queue/pause',
  },
  resume_queue: {
    description: 'Resumes the queue of a job.',
    input: z.object({ name, reason }),
    route: 'POST /jobs/named/:name/queue/resume',
  },
  send_signal: {
    description: 'Sends a signal that work waits for.',
    input: z.object({
      signal: z.string().describe('The name of the signal'),
      key: z.string().describe('Its key, which the wait names'),
      id: z.string().optional().describe('A second signal with this id changes nothing'),
      payload: z.unknown().optional(),
      reason,
    }),
    route: 'POST /jobs/signals',
  },
  retry_dead_letter: {
    description: 'Gives a dead letter back to the queue.',
    input: z.object({ workId, reason }),
    route: 'POST /jobs/dead-letters/:workId/redrive',
  },
  discard_dead_letter: {
    description: 'Removes a dead letter. This cannot be undone.',
    input: z.object({ workId, reason }),
    route: 'DELETE /jobs/dead-letters/:workId',
  },
}
