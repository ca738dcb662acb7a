import type { Socket } from 'node:net'

/** A server sends a large answer in parts, with pauses between them on a busy machine. */
const PAUSE_MS = 20
const MAX_PAUSES = 10

export interface AnswerInTimeOptions {
  timeoutMs: number
  socket: Pick<Socket, 'bytesRead'>
  /** Maximum time after the time-out for reading an answer that keeps arriving. Default 5,000 ms. */
  maxMoreMs?: number
}

/**
 * Waits up to `timeoutMs` for an answer. After a blocked event loop its timers fire first, although the answer may already be
 * in the socket. So it reads the socket, and gives the connection up only after another fifth of a second without data.
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

    /** Between two calls the event loop reads the socket. */
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

/** No answer came in time. The connection must not be used again. */
export class UnansweredError extends Error {
  override readonly name = 'UnansweredError'
  constructor() {
    super('Query read timeout')
  }
}

/** The socket of a client. With TLS it is the TLS layer, which counts the bytes read. */
export function socketOf(client: object): Socket {
  return (client as { connection: { stream: Socket } }).connection.stream
}
