/** Notifies people when a problem of the jobs begins, and when it is over. It can run beside an API, beside workers, or both. */
export type { AlertChannel, AlertKind, AlertNotice } from './alerts/alert.ts'
export {
  type AlertOptions,
  type AlertWatcher,
  type AlertWatcherOptions,
  createAlertWatcher,
} from './alerts/createAlertWatcher.ts'
export {
  type AlertFormat,
  type AlertWebhookOptions,
  createAlertWebhook,
} from './alerts/createAlertWebhook.ts'
export type { AlertLimits } from './alerts/findCauses.ts'
