/** The layout of the memory that the worker's thread shares with the watchdog's: 32-bit numbers, then a text. */
export const SHARED = {
  /** Counts up every second while the event loop turns. */
  BEAT: 0,
  /** The longest time-out of the runs, in ms; 0 before the first run. */
  LIMIT_MS: 1,
  /** 1 while a debugger is attached: it blocks the loop on purpose. */
  IS_DEBUGGED: 2,
  /** Set, and notified, to end the watchdog. */
  IS_STOPPED: 3,
  TEXT_LENGTH: 4,
  NUMBERS: 5,
} as const

/** The key in `globalThis` of a function that returns the run whose handler executes now. */
export const CURRENT_RUN = Symbol.for('roundsman.currentRun')

/**
 * The program of the watchdog's thread. It is a text, so that it needs no loader and no module, and little memory. It waits
 * a second at a time on the shared memory, without an event loop, and counts the seconds in which the other thread's loop
 * did not turn. A stretch in which it did not run itself (stopped process, sleeping machine) counts as one second.
 */
export const WATCHDOG_PROGRAM = `
const { workerData: { memory, marginMs, line } } = require('node:worker_threads')
const { writeSync } = require('node:fs')
const numbers = new Int32Array(memory, 0, ${SHARED.NUMBERS})
const TICK_MS = 1000, STACK_MS = 1000, KILL_MS = 1000
let beat = 0, blockedMs = 0

while (numbers[${SHARED.IS_STOPPED}] === 0) {
  Atomics.wait(numbers, ${SHARED.IS_STOPPED}, 0, Math.min(TICK_MS, marginMs))
  const seen = Atomics.load(numbers, ${SHARED.BEAT})
  if (seen !== beat || numbers[${SHARED.IS_DEBUGGED}] === 1) blockedMs = 0
  else blockedMs += Math.min(TICK_MS, marginMs)
  beat = seen
  const limitMs = numbers[${SHARED.LIMIT_MS}]
  if (limitMs > 0 && blockedMs >= limitMs + marginMs) {
    bite(limitMs)
    break
  }
}

function bite(limitMs) {
  const runs = Buffer.from(memory, ${4 * SHARED.NUMBERS}, numbers[${SHARED.TEXT_LENGTH}]).toString()
    .split('\\n').filter((text) => text !== '').map((text) => text.split(' ')).map(([name, runId]) => ({ name, runId }))
  const found = { by: undefined, stack: [] }
  let isOver = false
  const timer = setTimeout(end, STACK_MS)
  try {
    look(found, end)
  } catch {
    end()
  }
  function end() {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    const fields = { blockedMs, limitMs, ...found.by, stack: found.stack, runs }
    try {
      writeSync(2, JSON.stringify({ level: 60, time: Date.now(), ...line, ...fields,
        msg: 'the event loop is blocked for longer than any run may take: the process ends' }) + '\\n')
    } catch {}
    kill('SIGALRM')
    // A listener for it exists, and its thread is blocked.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, KILL_MS)
    kill('SIGKILL')
  }
}

function kill(signal) {
  try { process.kill(process.pid, signal) } catch {}
}

// Pauses the other thread to read its stack. A thread in a system call cannot be paused.
function look(found, end) {
  const { Session } = require('node:inspector')
  const session = new Session()
  const urls = new Map()
  session.connectToMainThread()
  session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url))
  session.on('Debugger.paused', ({ params: { callFrames } }) => {
    found.stack = callFrames.slice(0, 20).map(({ functionName, location }) =>
      (functionName || '<anonymous>') + ' (' + (urls.get(location.scriptId) || '') + ':' + (location.lineNumber + 1) + ':' + (location.columnNumber + 1) + ')')
    session.post('Debugger.evaluateOnCallFrame', {
      callFrameId: callFrames[0].callFrameId,
      expression: "globalThis[Symbol.for('${CURRENT_RUN.description}')]?.()",
      returnByValue: true,
    }, (error, answer) => {
      found.by = answer?.result?.value
      end()
    })
  })
  session.post('Debugger.enable', () => session.post('Debugger.pause'))
}
`
