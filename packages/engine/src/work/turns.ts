/**
 * Decides who may run in a process. Ordinary runs go on beside each other; a suspect (suspectLane.ts) runs alone, like the
 * writer of a readers-writer lock: while one has its turn or waits for it, the lanes take nothing new.
 */
export interface Turns {
  /** Whether lanes may take work. */
  isOpen(): boolean
  /** A claim or an ordinary run begins, even one that was claimed before the lanes were held up. */
  enter(): void
  leave(): void
  /** Waits until no other run is under way, for at most `waitMs`. */
  acquire(): Promise<Turn>
  /** Gives no more turns; suspects that wait for one get `stopped`. */
  stop(): void
}

export type Turn =
  /** The turn lasts until the caller calls `end`, once. */
  | { kind: 'alone'; end: () => void }
  /** Other runs did not end in time, or other suspects were first. */
  | { kind: 'busy' }
  | { kind: 'stopped' }

interface Waiting {
  settle: (turn: Turn) => void
}

/** After a suspect has held the lanes up in vain, no suspect holds them up for this many times `waitMs`. */
const HOLD_UP_PAUSE = 10

/** Lets a suspect run alone: it waits until all other runs have ended, and lanes take nothing meanwhile. */
export function createTurns(options: {
  /** How long a suspect waits, and holds up the lanes, at most. */
  waitMs: number
  /** The lanes may take work again. */
  onOpen: () => void
}): Turns {
  const { waitMs, onOpen } = options
  let others = 0
  let isTaken = false
  let isLettingIn = false
  let stopped = false
  // By performance.now().
  let noHoldUpUntil = 0
  const queue: Waiting[] = []

  const isHoldUpPaused = () => performance.now() < noHoldUpUntil

  function advance(): void {
    if (!isTaken && others === 0) queue[0]?.settle({ kind: 'alone', end })
  }

  function end(): void {
    isTaken = false
    letLanesIn()
  }

  /** Lets the lanes take work once before the next suspect holds them up. */
  function letLanesIn(): void {
    isLettingIn = true
    if (!stopped) onOpen()
    isLettingIn = false
    advance()
  }

  return {
    isOpen: () => !isTaken && (isLettingIn || queue.length === 0 || isHoldUpPaused()),
    enter: () => void others++,
    leave() {
      others--
      advance()
    },
    acquire: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          if (queue[0] === waiting && !isTaken && !isHoldUpPaused()) {
            noHoldUpUntil = performance.now() + HOLD_UP_PAUSE * waitMs
          }
          waiting.settle({ kind: 'busy' })
        }, waitMs)
        const waiting: Waiting = {
          settle(turn) {
            clearTimeout(timer)
            queue.splice(queue.indexOf(waiting), 1)
            isTaken ||= turn.kind === 'alone'
            resolve(turn)
            if (!isTaken) letLanesIn()
          },
        }
        queue.push(waiting)
        if (stopped) return waiting.settle({ kind: 'stopped' })
        advance()
      }),
    stop() {
      stopped = true
      for (const waiting of [...queue]) waiting.settle({ kind: 'stopped' })
    },
  }
}
