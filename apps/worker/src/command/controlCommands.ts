import { ENGINE_SCHEMA } from '@roundsman/db'
import {
  createQueueCommand,
  createWorkCommand,
  type ControlledProduct,
  type Terminal,
} from 'roundsman/commands'
import { readWorkerEnvironment } from '../env.ts'
import { explainTablesError } from '../explainTablesError.ts'
import { asForeseen } from './asForeseen.ts'
import { withDatabase } from './lookIntoDatabase.ts'

export const queueCommand = createQueueCommand({ call: 'pnpm worker:queue', open: openControlled })

export const workCommand = createWorkCommand({ call: 'pnpm worker:work', open: openControlled })

/** What these commands need of the product: its jobs, and a database for as long as their work takes. */
async function openControlled({ variables }: Terminal): Promise<ControlledProduct> {
  const env = await asForeseen(() => readWorkerEnvironment(variables))
  return {
    jobs: env.jobs,
    within: (work) =>
      asForeseen(async () => {
        try {
          return await withDatabase(env, (databaseUrl) =>
            work({ databaseUrl, schema: ENGINE_SCHEMA }),
          )
        } catch (error) {
          throw explainTablesError(error) ?? error
        }
      }),
  }
}
