import { z } from 'zod'
import type { InvoiceSeller } from './invoicePdf/invoiceDocument.ts'

const text = z.string().trim().min(1).max(500).optional()

/** Who issues the invoices. A variable of several lines has semicolons between them. */
export const sellerVariables = {
  SELLER_NAME: text,
  SELLER_ADDRESS: text,
  SELLER_EMAIL: text,
  SELLER_TAX_ID: text,
  SELLER_BANK_DETAILS: text,
}

type SellerEnvironment = { [Name in keyof typeof sellerVariables]?: string | undefined }

/**
 * Reads the issuer. Production has none by default (null), because an invoice needs its real one; otherwise an example.
 */
export function readSeller(env: SellerEnvironment, isProduction: boolean): InvoiceSeller | null {
  const { SELLER_NAME, SELLER_ADDRESS, SELLER_EMAIL, SELLER_TAX_ID, SELLER_BANK_DETAILS } = env
  if (SELLER_NAME === undefined) return isProduction ? null : EXAMPLE
  return {
    name: SELLER_NAME,
    address: lines(SELLER_ADDRESS),
    ...(SELLER_EMAIL !== undefined && { email: SELLER_EMAIL }),
    ...(SELLER_TAX_ID !== undefined && { taxId: SELLER_TAX_ID }),
    ...(SELLER_BANK_DETAILS !== undefined && { bankDetails: lines(SELLER_BANK_DETAILS) }),
  }
}

const EXAMPLE: InvoiceSeller = {
  name: 'Example Company',
  address: ['1 Example Street', 'EX1 1EX Example Town'],
  email: 'billing@example.com',
}

function lines(value: string | undefined): string[] {
  return (value ?? '')
    .split(';')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
