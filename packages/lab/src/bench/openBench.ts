import { loadavg } from 'node:os'
import { openServer, type Server } from './openServer.ts'
import type { Scale } from './scenario.ts'
import { stopProcesses } from './startProcess.ts'
import { inTurn } from './statistics.ts'

export interface BenchOptions {
  scale: Scale
  /** Null: as many as each scenario thinks right. */
  rounds: number | null
  seed: number
  /** A folder with PostgreSQL's programs; null: the embedded one. */
  postgres: string | null
  /** Told what is under way. */
  onProgress: (text: string) => void
}

/** What a scenario measures with. */
export interface Bench {
  readonly scale: Scale
  readonly seed: number
  /** How often what is compared takes its turn. */
  readonly rounds: number
  /** Picks the value of the scale. */
  sized<Value>(values: Record<Scale, Value>): Value
  progress(text: string): void
  /** The server that all scenarios share; started by the first that asks. */
  server(): Promise<Server>
  /** Takes turns, and keeps what else the machine was doing. Default: as many rounds as there are to be. */
  interleave<Side>(
    sides: readonly Side[],
    measure: (side: Side, round: number) => Promise<void>,
    options?: { maxRounds?: number },
  ): Promise<void>
  /** Done when the bench ends, however it ends; the last first. Call what is returned to have it done now. */
  onClose(close: () => Promise<void>): () => Promise<void>
}

export interface OpenBench {
  forScenario(rounds: number): Bench
  /** How busy the machine was, at each round since the last call: the load of its last minute. */
  takeLoads(): number[]
  postgresVersion(): string | null
  /** Ends every process and removes every folder. May be called again. */
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
        async interleave(sides, measure, { maxRounds = Infinity } = {}) {
          for (let round = 0; round < Math.min(wanted, maxRounds); round++) {
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
