const CURRENCIES = new Set(Intl.supportedValuesOf('currency'))

/**
 * How many digits a currency's minor unit has, by ISO 4217 (list one): 2 for EUR, 0 for JPY, 3 for KWD. Null when
 * `currency` is no currency's code. Intl does not tell this: it gives what shops usually show, which is 0 for HUF, IQD and
 * LBP, and would show their amounts a hundred or a thousand times too large.
 */
export function minorUnitDigits(currency: string): number | null {
  if (!CURRENCIES.has(currency)) return null
  return DIGITS[currency] ?? 2
}

const DIGITS: Readonly<Record<string, number>> = {
  BHD: 3,
  BIF: 0,
  CLF: 4,
  CLP: 0,
  DJF: 0,
  GNF: 0,
  IQD: 3,
  ISK: 0,
  JOD: 3,
  JPY: 0,
  KMF: 0,
  KRW: 0,
  KWD: 3,
  LYD: 3,
  OMR: 3,
  PYG: 0,
  RWF: 0,
  TND: 3,
  UGX: 0,
  UYI: 0,
  UYW: 4,
  VND: 0,
  VUV: 0,
  XAF: 0,
  XOF: 0,
  XPF: 0,
}
