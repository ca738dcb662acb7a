import type { Job } from '@roundsman/engine'
import type { JobsReader } from '@roundsman/engine/client'
import type { Terminal } from './runCommand.ts'

/** What was found, or why nothing could be looked up. */
export type Looked<Found> = { found: Found; reason: null } | { found: null; reason: string }

/** What commands that only read know of a product. */
export interface Product {
  /** The jobs as environment variables change them. */
  jobs: readonly Job[]
  /** The jobs as they are defined. */
  catalogue: readonly Job[]
  /** False when no worker of this environment schedules or executes anything. */
  isEnabled: boolean
  /** The variable that overrides a job's schedule. Null: this product has none. */
  cronVariable: ((jobName: string) => string) | null
  /**
   * Looks something up when there is a database. Without one it returns the reason, for commands that are useful all the
   * same.
   */
  look<Found>(read: (reader: JobsReader) => Promise<Found>): Promise<Looked<Found>>
}

/** How a command is called, and where it finds its product. */
export interface ProductSource {
  /** What stands before its arguments: `roundsman list`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<Product>
}
