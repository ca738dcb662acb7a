import type { Socket } from 'node:net'

/** A server that sends something large fills a socket in parts, and on a busy machine waits for its turn in between. */
const PAUSE_MS = 20
const MAX_PAUSES = 10

export interface AnswerInTimeOptions {
  timeoutMs: number
  socket: Pick<Socket, 'bytesRead'>
  /** For how long an answer that keeps arriving is read after that. Default 5,000 ms. */
  maxMoreMs?: number
}

/**
 * Waits for an answer for so long. What arrived while this process was busy is read before anybody is blamed: after a
 * blocked event loop its timers come first, and the answer may have lain in the socket all the time. A connection is
 * given up once nothing has arrived for a fifth of a second more.
 * @throws UnansweredError
 */
export async function answerInTime<Answer>(
  answer: Promise<Answer>,
  { timeoutMs, socket, maxMoreMs = 5_000 }: AnswerInTimeOptions,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    let isSettled = false
    let pauses = 0
    let bytesRead = -1
    let lastAt: number | undefined
    let timer = setTimeout(judge, timeoutMs)
    answer
      .finally(() => {
        isSettled = true
        clearTimeout(timer)
      })
      .then(resolve, reject)

    /** Between two calls the event loop reads what is there. */
    function judge(): void {
      if (isSettled) return
      lastAt ??= performance.now() + maxMoreMs
      const before = bytesRead
      bytesRead = socket.bytesRead
      const hasMore = bytesRead !== before
      pauses = hasMore ? 0 : pauses + 1
      if (pauses > MAX_PAUSES || performance.now() > lastAt) {
        reject(new UnansweredError())
        return
      }
      if (hasMore) setImmediate(judge)
      else timer = setTimeout(judge, PAUSE_MS)
    }
  })
}

/** Nothing came back in time: the connection is good for nothing more. */
export class UnansweredError extends Error {
  override readonly name = 'UnansweredError'
  constructor() {
    super('Query read timeout')
  }
}
