import { z } from 'zod'
import type { Guard, RunInfo } from '../../index.ts'

/** To the process of isolated runs. Dates travel as milliseconds. */
export type ToChild =
  | {
      kind: 'open'
      module: string
      databaseUrl: string
      schema: string
      level: string | undefined
    }
  | ({ kind: 'run' } & RunRequest)
  | { kind: 'abort'; token: string; code: string; message: string; retryable: boolean }
  /** It closes what it has opened, and ends. */
  | { kind: 'close' }

export interface RunRequest {
  /** Of this run alone: what comes late from the run before is not taken for this one's. */
  token: string
  run: Omit<RunInfo, 'scheduledFor'> & { scheduledFor: number | null }
  payload: unknown
  timeoutMs: number
  guard: Guard | null
  workerId: string
  approvedRows: number | null
  maxDetailsBytes: number | undefined
}

const token = z.string()

/** What the handlers' process sends is as foreign as what handlers return. */
export const fromChild = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('log'), token: token.nullable(), line: z.string() }),
  z.object({
    kind: z.literal('progress'),
    token,
    done: z.number(),
    total: z.number().nullable(),
  }),
  /** The turn in which its last run ended is over, and nothing of it has ended the process or holds it up. */
  z.object({ kind: z.literal('rested'), token, usedBytes: z.number() }),
  z.object({
    kind: z.literal('ended'),
    token,
    result: z.discriminatedUnion('status', [
      z.object({ status: z.literal('success'), details: z.record(z.string(), z.unknown()) }),
      z.object({
        status: z.literal('failed'),
        details: z.record(z.string(), z.unknown()),
        error: z.looseObject({ code: z.string(), message: z.string() }),
        retryable: z.boolean(),
      }),
    ]),
  }),
])

export type FromChild = z.infer<typeof fromChild>
