import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const importRow = defineJob({
  name: 'importRow',
  description: 'Creates one customer at the partner.',
  payload: z.object({ importId: z.number().int(), email: z.string() }),
  result: z.object({ customerId: z.string() }),
  concurrency: { global: 20 },
  retry: { limit: 5 },
})

export const importRows = defineJob({
  name: 'importRows',
  description: 'Imports a file of customers.',
  payload: z.object({ importId: z.number().int() }),
  steps: { read: { result: z.array(z.string()).max(10_000) }, rows: {}, report: {} },
})

export const jobs = [importRow, importRows] as const
