import type { Socket } from 'node:net'

/** So many turns of the event loop at most, however much keeps arriving. Each reads a megabyte or two. */
const MAX_TURNS = 100

/**
 * Waits for an answer for so long. What arrived while this process was busy is read before anybody is blamed: after a
 * blocked event loop its timers come first, and the answer may have lain in the socket all the time.
 * @throws UnansweredError
 */
export async function answerInTime<Answer>(
  answer: Promise<Answer>,
  { timeoutMs, socket }: { timeoutMs: number; socket: Pick<Socket, 'bytesRead'> },
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    let isSettled = false
    let turns = 0
    let bytesRead = -1
    const timer = setTimeout(judge, timeoutMs)
    answer
      .finally(() => {
        isSettled = true
        clearTimeout(timer)
      })
      .then(resolve, reject)

    /** Between two calls the event loop reads what is there. */
    function judge(): void {
      if (isSettled) return
      if (socket.bytesRead === bytesRead || turns++ === MAX_TURNS) {
        reject(new UnansweredError())
        return
      }
      bytesRead = socket.bytesRead
      setImmediate(judge)
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
