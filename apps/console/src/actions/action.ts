/** Which waiting work of a job: these pieces, all with a label, or all. */
export type WhichWork = { ids: readonly string[] } | { label: string } | { all: true }

/** What a person can have done from anywhere in the console. */
export type Action =
  /** `runId`: what this run was about, once more. */
  | { kind: 'run'; name: string; dryRun: boolean; runId?: string }
  | { kind: 'pause'; name: string }
  | { kind: 'resume'; name: string }
  | { kind: 'cancel'; name: string; runId: string }
  | { kind: 'approve'; name: string; runId: string; due: number }
  | { kind: 'redrive'; name: string; queueJobId: string }
  | { kind: 'redriveAll'; name: string; count: number }
  | { kind: 'discard'; name: string; queueJobId: string }
  | { kind: 'pauseQueue'; name: string }
  | { kind: 'resumeQueue'; name: string }
  | {
      kind: 'cancelWork' | 'startWork' | 'postponeWork' | 'prioritiseWork'
      name: string
      which: WhichWork
      /** How many these are as of now. */
      count: number
    }
