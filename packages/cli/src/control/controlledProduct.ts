import type { Job } from '@roundsman/engine'
import { createJobsClient, type JobsClient } from '@roundsman/engine/client'
import type { Terminal } from '../command/runCommand.ts'
import { unknownJob } from '../command/unknownJob.ts'

/** A product whose work somebody wants to change, and where its tables are. */
export interface ControlledProduct {
  jobs: readonly Job[]
  /** Has the database for as long as the work takes. Errors that can be foreseen are told as such. */
  within<Value>(work: (place: DatabasePlace) => Promise<Value>): Promise<Value>
}

export interface DatabasePlace {
  databaseUrl: string
  schema?: string | undefined
}

/** How a command is called, and where it finds its product. */
export interface ControlSource {
  /** What comes before its arguments: `roundsman queue`. */
  call: string
  /** @throws ForeseenError */
  open(terminal: Terminal): Promise<ControlledProduct>
}

/** With a client that is started, and stopped afterwards. What it wants to warn of goes to standard error. */
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
 * Where nothing was found. Work of a job that has left the catalogue can be changed, too, so it is asked about only then.
 * @throws UsageError
 */
export function refuseUnknown(name: string, { jobs }: ControlledProduct): void {
  const names = jobs.map((job) => job.name)
  if (names.includes(name)) return
  throw unknownJob(name, names, { known: `These are known: ${names.join(', ')}` })
}
