export {
  AmountTooLargeError,
  computeTotals,
  type InvoiceTotals,
  type TaxTotal,
  type UnpricedLine,
} from './computeTotals.ts'
export { minorUnitDigits } from './minorUnitDigits.ts'
