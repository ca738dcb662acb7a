/** What a person can have done from anywhere in the console. */
export type Action =
  | { kind: 'run'; name: string; dryRun: boolean; isAgain?: boolean }
  | { kind: 'pause'; name: string }
  | { kind: 'resume'; name: string }
  | { kind: 'cancel'; name: string; runId: string }
  | { kind: 'approve'; name: string; runId: string; due: number }
  | { kind: 'redrive'; name: string; queueJobId: string }
  | { kind: 'redriveAll'; name: string; count: number }
  | { kind: 'discard'; name: string; queueJobId: string }
