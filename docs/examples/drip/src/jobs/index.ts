import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const drip = defineJob({
  name: 'drip',
  description: 'Writes to whoever has signed up, for two weeks.',
  payload: z.object({ userId: z.number().int() }),
  steps: { pause: {}, address: { result: z.string().nullable() }, letter: {} },
})

export const jobs = [drip] as const
