/**
 * Tells people when something is wrong with the jobs, and when it is over. It can run beside an API, beside workers, or
 * both.
 */
export {
  ALERT_KINDS,
  type AlertChannel,
  type AlertFacts,
  type AlertKind,
  type AlertNotice,
} from './alerts/alert.ts'
export {
  createAlertWatcher,
  type AlertOptions,
  type AlertWatcher,
  type AlertWatcherOptions,
} from './alerts/createAlertWatcher.ts'
export { createAlertWebhook, type AlertWebhookOptions } from './alerts/createAlertWebhook.ts'
export type { AlertLimits } from './alerts/findCauses.ts'
