import { join } from 'node:path'
import { NodeCompiler } from '@myriaddreamin/typst-ts-node-compiler'
import { createPrintable, type Printable } from './createPrintable.ts'
import { describeInvoice } from './describeInvoice.ts'
import type { InvoiceDocument } from './invoiceDocument.ts'
import { fontFolders, invoiceFonts } from './invoiceFonts.ts'

export interface InvoicePdf {
  pdf: Uint8Array
  pages: number
}

/** The same path from src/invoicePdf as from dist/invoicePdf. */
const TEMPLATES = join(import.meta.dirname, '../../assets/invoicePdf')

/** Level a is tagged: software can read it aloud, and copied text is in order. */
const PDF_STANDARD = 'a-2a'

/**
 * Makes a function that sets one invoice after the other. It keeps the calling thread busy meanwhile, and throws what
 * Typst reports.
 */
export function createInvoiceCompiler(): (document: InvoiceDocument) => InvoicePdf {
  const fonts = invoiceFonts()
  // Of fonts that match equally well Typst takes the first, and it finds these before those of the machine.
  const compiler = NodeCompiler.create({
    workspace: TEMPLATES,
    fontArgs: [{ fontPaths: fontFolders(fonts) }],
  })
  const printables = new Map<string, Printable>()
  const printableIn = (language: string) => {
    const printable = printables.get(language) ?? createPrintable(fonts, language)
    printables.set(language, printable)
    return printable
  }

  return (document) => {
    const view = describeInvoice(document, printableIn)
    try {
      const compiled = compiler.compile({
        mainFilePath: join(TEMPLATES, 'invoice.typ'),
        inputs: { invoice: JSON.stringify(view) },
      })
      if (!compiled.result) {
        throw new Error(JSON.stringify(compiled.takeDiagnostics()?.shortDiagnostics))
      }
      const pages = compiled.result.numOfPages
      return { pdf: compiler.pdf(compiled.result, { pdfStandard: PDF_STANDARD }), pages }
    } finally {
      // Typst caches what it has set, and would keep every invoice it ever saw.
      compiler.evictCache(0)
    }
  }
}
