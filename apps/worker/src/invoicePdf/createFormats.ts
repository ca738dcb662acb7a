export interface Formats {
  /** With the currency's sign. */
  amount(minor: number): string
  /** Without the sign, for a column whose head names the currency. */
  plainAmount(minor: number): string
  quantity(milli: number): string
  rate(basisPoints: number): string
  /** Numbers that count: of a line, of a page. */
  count(number: number): string
  /** From an ISO date. */
  date(iso: string): string
  /** The locale's digits from 0 to 9. */
  digits: string[]
}

/**
 * Makes the functions that write an invoice's figures as a locale does.
 * @throws RangeError for a locale or currency that is none
 */
export function createFormats(locale: string, currency: string, digits: number): Formats {
  const places = { minimumFractionDigits: digits, maximumFractionDigits: digits }
  const amount = new Intl.NumberFormat(locale, { style: 'currency', currency, ...places })
  const plainAmount = new Intl.NumberFormat(locale, places)
  const quantity = new Intl.NumberFormat(locale, { maximumFractionDigits: 3 })
  const rate = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 2 })
  const count = new Intl.NumberFormat(locale, { useGrouping: false })
  // Banks keep the Gregorian calendar, so an invoice is due on a day of it wherever it goes.
  const date = new Intl.DateTimeFormat(locale, {
    dateStyle: 'long',
    calendar: 'gregory',
    timeZone: 'UTC',
  })
  return {
    amount: (minor) => amount.format(decimal(minor, digits)),
    plainAmount: (minor) => plainAmount.format(decimal(minor, digits)),
    quantity: (milli) => quantity.format(decimal(milli, 3)),
    rate: (basisPoints) => rate.format(decimal(basisPoints, 4)),
    count: (number) => count.format(number),
    date: (iso) => date.format(instant(iso)),
    digits: Array.from({ length: 10 }, (_, digit) => count.format(digit)),
  }
}

/**
 * Writes an integer number of units of 10^-digits as a numeral that Intl takes exactly. A division would round large
 * amounts.
 */
function decimal(units: number, digits: number): Intl.StringNumericLiteral {
  if (!Number.isSafeInteger(units)) throw new RangeError(`${units} is no exact number of units`)
  return `${units}E-${digits}` as Intl.StringNumericLiteral
}

function instant(iso: string): Date {
  const date = new Date(`${iso}T00:00:00Z`)
  // JavaScript turns a day that its month does not have into one of the next month.
  if (Number.isNaN(date.getTime()) || !date.toISOString().startsWith(iso)) {
    throw new RangeError(`${iso} is no date`)
  }
  return date
}
