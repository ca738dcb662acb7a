import { ChildFailed, JobError, type HandlersFor, type TransactionOf } from '@roundsman/engine'
import type { Pool } from 'pg'
import type { z } from 'zod'
import { runTool, type jobs, type reply, type toolCall } from './index.js'

export type Message = { role: 'user' | 'model' | 'tool'; text: string }
export type Model = (
  messages: readonly Message[],
  signal: AbortSignal,
) => Promise<z.infer<typeof reply>>
export type Tool = (input: z.infer<typeof toolCall>['input']) => Promise<string>

const MAX_TURNS = 20

export function createHandlers(
  model: Model,
  tools: Readonly<Record<string, Tool>>,
): HandlersFor<typeof jobs, TransactionOf<Pool>> {
  return {
    async runTool({ payload: { tool, input } }) {
      const run = Object.hasOwn(tools, tool) ? tools[tool] : undefined
      if (run === undefined)
        throw new JobError('no_tool', `There is no ${tool}`, { retryable: false })
      return { output: await run(input) }
    },
    async answerQuestion({ payload: { question }, step }) {
      const messages: Message[] = [{ role: 'user', text: question }]
      for (let turn = 1; turn <= MAX_TURNS; turn++) {
        const { text, calls } = await step.run('think', ({ signal }) => model(messages, signal), {
          item: `turn ${turn}`,
        })
        messages.push({ role: 'model', text })
        if (calls.length === 0) return { answer: text }
        for (const call of calls) {
          try {
            const { output } = await step.invoke('tool', { item: call.id }, runTool, call)
            messages.push({ role: 'tool', text: output })
          } catch (error) {
            // The model may try something else. Anything but a tool that failed ends the work.
            if (!(error instanceof ChildFailed)) throw error
            messages.push({ role: 'tool', text: `failed: ${error.childCode}` })
          }
        }
      }
      throw new JobError('too_many_turns', `No answer after ${MAX_TURNS} turns`, {
        retryable: false,
      })
    },
  }
}
