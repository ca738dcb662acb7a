import { loadavg } from 'node:os'
import { openServer, type Server } from './openServer.ts'
import type { Scale } from './scenario.ts'
import { stopProcesses } from '../startProcess.ts'
import { inTurn } from '../statistics.ts'

export interface BenchOptions {
  scale: Scale
  /** Null: each scenario's own number. */
  rounds: number | null
  seed: number
  /** A folder with PostgreSQL's programs. Null: the embedded ones. */
  postgres: string | null
  /** Called with what is under way. */
  onProgress: (text: string) => void
}

/** What a scenario measures with. */
export interface Bench {
  readonly scale: Scale
  readonly seed: number
  /** How often each side takes its turn. */
  readonly rounds: number
  /** Returns the value for this scale. */
  sized<Value>(values: Record<Scale, Value>): Value
  progress(text: string): void
  /** The server that all scenarios share. The first call starts it. */
  server(): Promise<Server>
  /** Has the sides take turns for `rounds` rounds, and records the machine's load. */
  interleave<Side>(
    sides: readonly Side[],
    measure: (side: Side, round: number) => Promise<void>,
  ): Promise<void>
  /** Calls `close` when the bench ends, however it ends; the last one first. The returned function calls it at once. */
  onClose(close: () => Promise<void>): () => Promise<void>
}

export interface OpenBench {
  forScenario(rounds: number): Bench
  /** The machine's load of one minute, at each round since the last call. */
  takeLoads(): number[]
  postgresVersion(): string | null
  /** Ends every process and removes every folder. Further calls do nothing. */
  close(): Promise<void>
}

export function openBench({ scale, rounds, seed, postgres, onProgress }: BenchOptions): OpenBench {
  let server: Promise<Server> | undefined
  let version: string | null = null
  let loads: number[] = []
  let closed: Promise<void> | undefined
  const closers: (() => Promise<void>)[] = []

  async function start(): Promise<Server> {
    onProgress('starting PostgreSQL')
    const opened = await openServer(postgres)
    version = opened.version
    return opened
  }

  async function close(): Promise<void> {
    await stopProcesses()
    for (const each of closers.toReversed()) await each().catch(() => undefined)
    await (await server?.catch(() => undefined))?.close()
  }

  return {
    forScenario(usual) {
      const wanted = rounds ?? (scale === 'small' ? 1 : usual)
      return {
        scale,
        seed,
        rounds: wanted,
        sized: (values) => values[scale],
        progress: onProgress,
        server: () => (server ??= start()),
        async interleave(sides, measure) {
          for (let round = 0; round < wanted; round++) {
            loads.push(loadavg()[0] ?? NaN)
            for (const side of inTurn(sides, round)) await measure(side, round)
          }
        },
        onClose(work) {
          let done: Promise<void> | undefined
          const once = () => (done ??= work())
          closers.push(once)
          return once
        },
      }
    },
    takeLoads() {
      const taken = loads
      loads = []
      return taken
    },
    postgresVersion: () => version,
    close: () => (closed ??= close()),
  }
}
