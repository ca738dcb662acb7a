import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import { extname, join } from 'node:path'
import { JobError } from '@roundsman/engine'
import type { InvoiceDocument } from './invoiceDocument.ts'
import type { RenderAnswer } from './renderProcess.ts'

/*
 * A render:
 *   waiting    In line for a process: running. Aborting or closing rejects it.
 *   running    A process has it. The process's answer settles it; an abort, or the death of the process, rejects it.
 *
 * A process (Slot):
 *   idle       It waits for a document: busy.
 *   busy       It sets one. Its answer makes it idle, or ends it when it occupies too much memory.
 *   ended      Killed by an abort, by too much memory or by close(), or dead by itself. The next render starts another.
 */

export interface InvoiceRenderer {
  /**
   * Renders an invoice as PDF/A-2a. The same document gives the same bytes with the same versions of Node and the
   * packages.
   * @throws AbortError when the signal aborts; a render that runs then is ended
   * @throws JobError `invoice_invalid` for a locale, currency, date or amount that is none, `invoice_unprintable` if it
   * can't be set, and `invoice_renderer_lost`, where alone another attempt can help, if the process died
   */
  render(
    document: InvoiceDocument,
    signal: AbortSignal,
  ): Promise<{ pdf: Uint8Array; pages: number }>
  /** Ends what runs, rejects what waits, and resolves once no process is left. */
  close(): Promise<void>
}

export interface InvoiceRendererOptions {
  /** How many invoices are set at once, each in a process that is started when first needed. Default 1. */
  processes?: number
  /**
   * After a render, a process that occupies more than this is replaced: Typst keeps memory and gets slower with it.
   * Default 400 MB, which one invoice of 2,000 lines exceeds, and 2,000 ordinary ones do not.
   */
  maxMemoryBytes?: number
  /** The path of the process's program. Default: renderProcess beside this file. */
  entry?: string
}

/** A .ts file in the source, which Node runs as it is, and a .js file in the build. */
const ENTRY = join(import.meta.dirname, `renderProcess${extname(import.meta.filename)}`)

const DEFAULT_MAX_MEMORY_BYTES = 400_000_000

interface Render {
  document: InvoiceDocument
  signal: AbortSignal
  resolve(result: { pdf: Uint8Array; pages: number }): void
  reject(error: unknown): void
  onAbort(): void
}

interface Slot {
  child: ChildProcess
  /** What the process renders now. */
  render: Render | undefined
}

/**
 * Sets invoices with Typst (docs/adr/0001-invoice-pdf.md), in processes of their own: an event loop would stand still
 * for seconds, and native code in a thread can neither be ended nor crash alone.
 */
export function createInvoiceRenderer({
  processes = 1,
  maxMemoryBytes = DEFAULT_MAX_MEMORY_BYTES,
  entry = ENTRY,
}: InvoiceRendererOptions = {}): InvoiceRenderer {
  const waiting: Render[] = []
  const slots = new Set<Slot>()
  const exits = new Set<Promise<unknown>>()
  let isClosed = false

  const proceed = () => {
    while (waiting.length > 0) {
      const slot = findIdle(slots) ?? (slots.size < processes ? start() : undefined)
      const render = slot && waiting.shift()
      if (!render) return
      slot.render = render
      // A process that can't be reached has ended or will: its exit rejects the render.
      slot.child.send(render.document, () => undefined)
    }
  }

  const start = (): Slot => {
    // Without the parent's arguments, such as a debugger's port, a loader, a test runner's settings.
    const child = fork(entry, [], {
      execArgv: [],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    letOthersGoFirst(child.pid)
    const slot: Slot = { child, render: undefined }
    slots.add(slot)
    const exit = once(child, 'close').catch(() => undefined)
    exits.add(exit)
    void exit.then(() => exits.delete(exit))
    child.on('message', (answer: RenderAnswer) => finish(slot, answer))
    child.on('error', (error) => lose(slot, error))
    child.on('exit', (code, signal) =>
      lose(slot, new Error(`The rendering process ended with ${signal ?? code}`)),
    )
    return slot
  }

  const finish = (slot: Slot, answer: RenderAnswer) => {
    const render = release(slot)
    if (answer.memoryBytes > maxMemoryBytes) end(slot)
    if (render && 'error' in answer) render.reject(refusal(answer))
    else if (render && 'pdf' in answer) render.resolve({ pdf: answer.pdf, pages: answer.pages })
    proceed()
  }

  const lose = (slot: Slot, cause: Error) => {
    end(slot)
    release(slot)?.reject(
      new JobError('invoice_renderer_lost', 'The process that rendered the invoice died', {
        cause,
      }),
    )
    proceed()
  }

  const end = (slot: Slot) => {
    slots.delete(slot)
    // Native code reacts to no signal that a program could catch.
    slot.child.kill('SIGKILL')
  }

  const abort = (render: Render) => {
    const place = waiting.indexOf(render)
    if (place >= 0) waiting.splice(place, 1)
    for (const slot of slots) {
      if (slot.render !== render) continue
      release(slot)
      end(slot)
    }
    render.reject(abortError(render.signal.reason))
    proceed()
  }

  return {
    render: (document, signal) =>
      new Promise((resolve, reject) => {
        if (isClosed) throw abortError(new Error('The renderer is closed'))
        if (signal.aborted) throw abortError(signal.reason)
        const render: Render = { document, signal, resolve, reject, onAbort: () => abort(render) }
        signal.addEventListener('abort', render.onAbort, { once: true })
        waiting.push(render)
        proceed()
      }),
    close: async () => {
      isClosed = true
      const left = [...waiting.splice(0), ...Array.from(slots, release)]
      for (const slot of slots) end(slot)
      for (const render of left) {
        render?.signal.removeEventListener('abort', render.onAbort)
        render?.reject(abortError(new Error('The renderer was closed')))
      }
      await Promise.all(exits)
    },
  }
}

/** Gives the process a lower priority: people wait for requests now, and were told to come back for a PDF. */
function letOthersGoFirst(pid: number | undefined): void {
  // A process that could not be started tells by an event of its own.
  if (pid === undefined) return
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended already, or the system does not allow it.
  }
}

function findIdle(slots: Set<Slot>): Slot | undefined {
  for (const slot of slots) if (!slot.render) return slot
  return undefined
}

/** Takes its render from a process; the caller settles it. */
function release(slot: Slot): Render | undefined {
  const { render } = slot
  slot.render = undefined
  render?.signal.removeEventListener('abort', render.onAbort)
  return render
}

/** The error for an invoice that the process refused. Another attempt would meet the same. */
function refusal({ error, isInvalid }: { error: string; isInvalid: boolean }): JobError {
  const cause = new Error(error)
  return isInvalid
    ? new JobError('invoice_invalid', 'The invoice has an invalid value', {
        cause,
        retryable: false,
      })
    : new JobError('invoice_unprintable', 'The invoice could not be typeset', {
        cause,
        retryable: false,
      })
}

function abortError(cause: unknown): DOMException {
  return new DOMException('The render was aborted', { name: 'AbortError', cause })
}
