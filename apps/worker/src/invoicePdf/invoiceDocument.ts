/** Everything an invoice shows. Amounts are integers in the currency's minor unit. */
export interface InvoiceDocument {
  /** The number as it is printed: `2026-000042`. */
  number: string
  /**
   * BCP 47, `de-DE`. Numbers and dates are written as usual there. Labels and the page's direction follow its language
   * if the labels are translated into it; otherwise they are English.
   */
  locale: string
  /** ISO 4217, `EUR`. */
  currency: string
  /** How many decimals its minor unit stands for: 2 for EUR, 0 for JPY, 3 for KWD. */
  currencyDigits: number
  /** `YYYY-MM-DD`. */
  issuedOn: string
  /** `YYYY-MM-DD`. */
  dueOn: string
  seller: InvoiceSeller
  customer: InvoiceParty
  lines: InvoiceLine[]
  taxes: InvoiceTax[]
  netMinor: number
  taxMinor: number
  grossMinor: number
  notes?: string
}

export interface InvoiceParty {
  name: string
  /** Line by line, as on an envelope. */
  address: string[]
  email?: string
  taxId?: string
}

export interface InvoiceSeller extends InvoiceParty {
  /** Line by line. */
  bankDetails?: string[]
}

export interface InvoiceLine {
  description: string
  /** In thousandths: 1500 is one and a half. */
  quantityMilli: number
  unitPriceMinor: number
  /** In hundredths of a percent: 1900 is 19 %. */
  taxRateBasisPoints: number
  netMinor: number
}

/** The tax at one rate. */
export interface InvoiceTax {
  rateBasisPoints: number
  netMinor: number
  taxMinor: number
}
