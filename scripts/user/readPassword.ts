import type { Readable, Writable } from 'node:stream'
import { MAX_PASSWORD_LENGTH } from '@roundsman/db/admin'

export interface PasswordInput extends Readable {
  /** Set on a terminal. */
  isTTY?: boolean
  setRawMode?(isRaw: boolean): unknown
}

/** Somebody ended the prompt without an answer. */
export class PromptEnded extends Error {
  override readonly name = 'PromptEnded'
}

const MAX_BYTES = 4 * MAX_PASSWORD_LENGTH + 2

/**
 * Reads a password: from a terminal twice, without showing it, or else all of standard input without its last line
 * break. Returns undefined when the second differs from the first.
 * @throws PromptEnded
 */
export async function readPassword(
  input: PasswordInput,
  output: Writable,
): Promise<string | undefined> {
  if (!input.isTTY) return await readAll(input)
  input.setRawMode?.(true)
  try {
    const [password, again] = await ask(input, output, ['Password: ', 'Once more: '])
    return password === again ? password : undefined
  } finally {
    input.setRawMode?.(false)
  }
}

async function readAll(input: Readable): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of input as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    // It is too long in any case: the rest need not be read.
    if ((size += chunk.length) > MAX_BYTES) break
  }
  const text = Buffer.concat(chunks).toString()
  return text.replace(/\r?\n$/, '')
}

const ENTER = new Set(['\r', '\n'])
const END = new Set(['\u0003', '\u0004'])
const BACKSPACE = new Set(['\u007f', '\b'])

/** Asks one prompt after the other. Pasted text may answer both at once. */
async function ask(
  input: Readable,
  output: Writable,
  prompts: readonly string[],
): Promise<string[]> {
  const answers: string[] = []
  let typed: string[] = []
  const decoder = new TextDecoder()
  const { promise, resolve, reject } = Promise.withResolvers<string[]>()
  const onEnd = () => reject(new PromptEnded('No password was given'))
  const onData = (chunk: Buffer) => {
    for (const character of decoder.decode(chunk, { stream: true })) {
      if (answers.length === prompts.length) return
      if (END.has(character)) return onEnd()
      if (ENTER.has(character)) onAnswer()
      else if (BACKSPACE.has(character)) typed.pop()
      else if (typed.length <= MAX_PASSWORD_LENGTH) typed.push(character)
    }
  }
  function onAnswer(): void {
    answers.push(typed.join(''))
    typed = []
    output.write(`\n${prompts[answers.length] ?? ''}`)
    if (answers.length === prompts.length) resolve(answers)
  }
  output.write(prompts[0] ?? '')
  input.on('data', onData).once('end', onEnd).resume()
  try {
    return await promise
  } finally {
    input.pause().off('data', onData).off('end', onEnd)
  }
}
