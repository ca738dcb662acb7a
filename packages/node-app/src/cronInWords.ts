import cronstrue from 'cronstrue'

/**
 * A cron expression as a sentence, such as `Every 15 minutes` or `At 03:00`, or unchanged when there are no words for it.
 */
export function cronInWords(cron: string): string {
  try {
    return cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
  } catch {
    return cron
  }
}
