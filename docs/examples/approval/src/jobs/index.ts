import { defineJob, defineSignal } from '@roundsman/engine'
import { z } from 'zod'

export const decided = defineSignal({
  name: 'decided',
  payload: z.object({ isApproved: z.boolean(), by: z.string() }),
})

export const payOut = defineJob({
  name: 'payOut',
  description: 'Asks for approval, and pays out.',
  payload: z.object({ claimId: z.string() }),
  steps: { ask: {}, decision: { signal: decided }, pay: {}, refuse: {} },
})

export const jobs = [payOut] as const
