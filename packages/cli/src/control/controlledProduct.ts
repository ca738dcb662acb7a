import type { Job } from '@roundsman/engine'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import type { Terminal } from '../command/runCommand.ts'
import { unknownJob } from '../command/unknownJob.ts'

/** A product whose work somebody wants to change, and its tables. */
export interface ControlledProduct {
  jobs: readonly Job[]
  /** Gives `work` the database for as long as it takes. Foreseen errors become ForeseenError. */
  within<Value>(work: (place: DatabasePlace) => Promise<Value>): Promise<Value>
}

export interface DatabasePlace {
  databaseUrl: string
  schema?: string | undefined
}

/** How a command is called, and where it finds its product. */
export interface ControlSource {
  /** What stands before its arguments: `roundsman queue`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<ControlledProduct>
}

/** Starts a client for `work` and stops it afterwards. The client's warnings go to standard error. */
export async function withClient<Value>(
  product: ControlledProduct,
  work: (client: JobsClient) => Promise<Value>,
): Promise<Value> {
  return await product.within(async (place) => {
    const client = createJobsClient(place)
    try {
      await client.start()
      return await work(client)
    } finally {
      await client.stop()
    }
  })
}

/**
 * Called when nothing was found: work of a job that left the catalogue can be changed too, so that its name is no error
 * before.
 * @throws UsageError
 */
export function refuseUnknown(name: string, { jobs }: ControlledProduct): void {
  const names = jobs.map((job) => job.name)
  if (names.includes(name)) return
  throw unknownJob(name, names, { known: `These are known: ${names.join(', ')}` })
}
