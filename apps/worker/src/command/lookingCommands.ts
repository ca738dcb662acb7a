import { jobs as catalogue } from '@roundsman/jobs'
import {
  createDeadLettersCommand,
  createListCommand,
  createRunsCommand,
  createSimulateCommand,
  type Product,
  type Terminal,
} from 'roundsman/commands'
import { cronVariable } from '../cronVariable.ts'
import { readWorkerEnvironment } from '../env.ts'
import { asForeseen } from './asForeseen.ts'
import { lookIntoDatabase } from './lookIntoDatabase.ts'

export const listCommand = createListCommand({ call: 'pnpm worker:list', open: openProduct })

export const runsCommand = createRunsCommand({ call: 'pnpm worker:runs', open: openProduct })

export const deadLettersCommand = createDeadLettersCommand({
  call: 'pnpm worker:dead-letters',
  once: 'pnpm worker:once',
  open: openProduct,
})

export const simulateCommand = createSimulateCommand({
  call: 'pnpm worker:simulate',
  open: openProduct,
})

/** What these commands need of the product: its jobs as the environment adjusts them, and a look into its database. */
async function openProduct({ variables }: Terminal): Promise<Product> {
  const env = await asForeseen(() => readWorkerEnvironment(variables))
  return {
    jobs: env.jobs,
    catalogue,
    isEnabled: env.JOBS_ENABLED,
    cronVariable,
    look: (read) => lookIntoDatabase(env, read),
  }
}
