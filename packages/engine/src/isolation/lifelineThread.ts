// A thread beside the handlers of isolated runs. It ends their process when the worker is gone or their memory is full,
// even while their event loop is blocked.
import { writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { workerData } from 'node:worker_threads'

/** The worker holds the other end open for as long as it lives. */
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

/** Kills the process and all processes that its handlers have started: it leads a process group of its own. */
function killAll(): void {
  process.kill(process.platform === 'win32' ? process.pid : -process.pid, 'SIGKILL')
}
