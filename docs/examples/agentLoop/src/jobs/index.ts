import { defineJob } from '@roundsman/engine'
import { z } from 'zod'

export const toolCall = z.object({ id: z.string(), tool: z.string(), input: z.json() })
export const reply = z.object({ text: z.string(), calls: z.array(toolCall).max(20) })

export const runTool = defineJob({
  name: 'runTool',
  description: 'Runs a tool that a model asks for.',
  payload: toolCall,
  result: z.object({ output: z.string() }),
  timeoutMs: 60_000,
})

export const answerQuestion = defineJob({
  name: 'answerQuestion',
  description: 'Answers a question by a model with tools.',
  payload: z.object({ question: z.string() }),
  result: z.object({ answer: z.string() }),
  concurrency: { global: 10 },
  steps: { think: { result: reply, retry: { limit: 4 } }, tool: {} },
})

export const jobs = [runTool, answerQuestion] as const
