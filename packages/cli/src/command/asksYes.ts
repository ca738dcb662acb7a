import { createInterface } from 'node:readline/promises'
import type { Terminal } from './runCommand.ts'

/** A terminal with standard input, for questions to a person. */
export interface AskingTerminal extends Terminal {
  stdin: NodeJS.ReadableStream & { isTTY?: boolean }
}

/** Asks a question. Any answer except y or yes is a no. */
export async function asksYes(
  { stdin, stdout }: AskingTerminal,
  question: string,
): Promise<boolean> {
  // Without readline's control sequences, which stdout does not let through.
  const lines = createInterface({ input: stdin, output: stdout, terminal: false })
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim())
  } finally {
    lines.close()
  }
}
