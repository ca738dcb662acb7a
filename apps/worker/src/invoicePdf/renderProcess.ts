// The process in which invoices are set: started by createInvoiceRenderer, and by nobody else. What it imports
// is in this folder or from npm: it is started without the condition under which our packages are their source.
import { createInvoiceCompiler } from './createInvoiceCompiler.ts'
import type { InvoiceDocument } from './invoiceDocument.ts'

/** What the process answers for each document that it is sent. */
export type RenderAnswer = RenderedAnswer | RefusedAnswer

interface RenderedAnswer {
  pdf: Uint8Array
  pages: number
  /** What the process occupies now. */
  memoryBytes: number
}

interface RefusedAnswer {
  /** May quote the document. */
  error: string
  /** Whether the document says what cannot be. */
  isInvalid: boolean
  memoryBytes: number
}

// Ctrl-C and a supervisor's SIGTERM reach this process as well, while its parent still has work to finish. It
// ends when the parent closes the channel, or is gone.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit())

const compile = createInvoiceCompiler()

process.on('message', (document: InvoiceDocument) => {
  // A parent that went away meanwhile is what `disconnect` is about.
  process.send?.(answer(document), undefined, undefined, () => undefined)
})

function answer(document: InvoiceDocument): RenderAnswer {
  try {
    const { pdf, pages } = compile(document)
    return { pdf, pages, memoryBytes: process.memoryUsage.rss() }
  } catch (error) {
    return {
      error: String(error),
      isInvalid: error instanceof RangeError,
      memoryBytes: process.memoryUsage.rss(),
    }
  }
}
