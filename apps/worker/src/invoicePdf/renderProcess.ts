// The process that sets invoices; createInvoiceRenderer starts it. It imports only from this folder and from npm,
// because it runs without the condition by which our packages resolve to their sources.
import { createInvoiceCompiler } from './createInvoiceCompiler.ts'
import type { InvoiceDocument } from './invoiceDocument.ts'

/** The process's answer to each document. */
export type RenderAnswer = RenderedAnswer | RefusedAnswer

interface RenderedAnswer {
  pdf: Uint8Array
  pages: number
  /** How much memory the process occupies now. */
  memoryBytes: number
}

interface RefusedAnswer {
  /** The error in words, which may quote the document. */
  error: string
  /** Whether a value in the document is at fault. */
  isInvalid: boolean
  memoryBytes: number
}

// Ctrl-C and a supervisor's SIGTERM reach this process too, while its parent still finishes work. It ends when the
// parent closes the channel, or dies.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
process.on('disconnect', () => process.exit())

const compile = createInvoiceCompiler()

process.on('message', (document: InvoiceDocument) => {
  // A failed send means that the parent is gone, which `disconnect` handles.
  process.send?.(answer(document), undefined, undefined, () => undefined)
})

/** Renders a document, or says why not. A RangeError means that one of its values is at fault. */
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
