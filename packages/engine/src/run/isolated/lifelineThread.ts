// Runs beside the handlers of an isolated run, in a thread of its own: it ends their process when the worker is gone or
// their memory is full, also while their event loop is blocked.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { workerData } from 'node:worker_threads'

/** Held open by the worker for as long as it lives. */
const LIFELINE_FD = 4
const LOOK_MS = 100

const { maxBytes } = workerData as { maxBytes: number }

new Socket({ fd: LIFELINE_FD })
  .on('error', () => undefined)
  .on('close', killAll)
  .resume()

setInterval(() => {
  const bytes = process.memoryUsage.rss()
  if (bytes <= maxBytes) return
  try {
    writeSync(LIFELINE_FD, String(bytes))
  } finally {
    killAll()
  }
}, LOOK_MS)

/** With whatever the handlers have started: the process leads a group of its own. */
function killAll(): void {
  process.kill(process.platform === 'win32' ? process.pid : -process.pid, 'SIGKILL')
}
