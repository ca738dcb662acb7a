/** How the engine's connections are set, and found to be lost, for hosts whose own should behave the same. It loads only the driver. */
export {
  connectionSettings,
  LIFT_TRANSACTION_TIMEOUT_SQL,
  readAskedSettings,
  type ConnectionSettings,
} from './store/connectionSettings.ts'
export { createInquiry, type Inquiry } from './store/inquiry.ts'
export { LIMIT_WAITS_SQL, tellWaits, tryUntilFree } from './store/takeLocks.ts'
export { statementName } from './store/schema.ts'
