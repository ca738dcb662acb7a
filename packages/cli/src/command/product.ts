import type { Job } from '@roundsman/engine'
import type { Reader } from '@roundsman/engine/client'
import type { Terminal } from './runCommand.ts'

/** What was found, or why nothing could be. */
export type Looked<Found> = { found: Found; reason: null } | { found: null; reason: string }

/** A product, as far as those commands know it that only look. */
export interface Product {
  /** As the environment adjusts them. */
  jobs: readonly Job[]
  /** As they are defined. */
  catalogue: readonly Job[]
  /** False: no worker of this environment schedules or executes anything. */
  isEnabled: boolean
  /** The variable that overrides the schedule of a job. Null: this product has none. */
  cronVariable: ((jobName: string) => string) | null
  /** Looks something up where a database is to be had, for commands that are of use without one too. */
  look<Found>(read: (reader: Reader) => Promise<Found>): Promise<Looked<Found>>
}

/** How a command is called, and where it finds its product. */
export interface ProductSource {
  /** What comes before its arguments: `roundsman list`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<Product>
}
