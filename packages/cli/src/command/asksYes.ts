import { createInterface } from 'node:readline/promises'
import type { Terminal } from './runCommand.ts'

/** Has standard input, to ask where somebody can answer. */
export interface AskingTerminal extends Terminal {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
}

/** Asks a question, to which anything but y or yes is a no. */
export async function asksYes(
  { stdin, stdout }: AskingTerminal,
  question: string,
): Promise<boolean> {
  // Without what readline writes to steer a terminal, which stdout does not let through.
  const lines = createInterface({ input: stdin, output: stdout, terminal: false })
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim())
  } finally {
    lines.close()
  }
}
