/** What a person can have done to one thing, from anywhere in the console. */
export type Action =
  /** `runId`: run it again with the payload of this run. */
  | { kind: 'run'; name: string; dryRun: boolean; runId?: string }
  | { kind: 'pause'; name: string }
  | { kind: 'resume'; name: string }
  | { kind: 'cancel'; name: string; runId: string }
  | { kind: 'approve'; name: string; runId: string; due: number }
  /** `losses`: how many workers have died while they ran it. */
  | {
      kind: 'redrive'
      name: string
      workId: string
      label: string | null
      losses: number
      /** Of durable work: which steps are done again, and how people call them. Default: the one that failed. */
      from?: { first: 'beginning' | { step: string; item: string }; again: readonly string[] }
    }
  /** Whether the effect of a step has happened. */
  | {
      kind: 'answerDoubt'
      name: string
      workId: string
      step: string
      item: string
      happened: boolean
    }
  /** `name`: the job of the work that waits for it. `id`: a second signal with it changes nothing. */
  | { kind: 'sendSignal'; name: string; signal: string; key: string; id: string }
  | { kind: 'discard'; name: string; workId: string }
  | { kind: 'pauseQueue'; name: string }
  | { kind: 'resumeQueue'; name: string }
  /** Of one of the schedules that are kept as data. */
  | { kind: 'runOfKey'; name: string; key: string }
  | { kind: 'pauseKey'; name: string; key: string }
  | { kind: 'resumeKey'; name: string; key: string }
  | { kind: 'deleteKey'; name: string; key: string }
  /** Of the work of one key. */
  | { kind: 'pauseWorkOfKey'; name: string; key: string }
  | { kind: 'resumeWorkOfKey'; name: string; key: string }
  /** `now`: what somebody has set. Null: nobody has. */
  | { kind: 'limitKey'; name: string; key: string; now: number | null }
  /** Of a job itself, or of a limit with this name that jobs share. */
  | { kind: 'setLimit'; name: string; isShared: boolean; now: number | null }
  | { kind: 'unparkLimit'; name: string; isShared: boolean }
  | { kind: 'unparkKey'; name: string; key: string }

/** From this number of dead workers on, work may end another. The server then asks for a confirmation. */
export const DANGEROUS_LOSSES = 2
