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

/** As far from src/invoicePdf as from dist/invoicePdf. */
const TEMPLATES = join(import.meta.dirname, '../../assets/invoicePdf')

/** Level a is tagged: it can be read aloud, and text that is copied from it is in order. */
const PDF_STANDARD = 'a-2a'

/**
 * Gives a function that sets one invoice after the other, keeping the calling thread busy for as long as that
 * takes. It throws what Typst reports.
 */
export function createInvoiceCompiler(): (document: InvoiceDocument) => InvoicePdf {
  const fonts = invoiceFonts()
  // Typst takes the first of several fonts that match equally well, and these before those of the machine.
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
      // It remembers what it has set, to set it again faster, and would keep all invoices it ever saw.
      compiler.evictCache(0)
    }
  }
}
