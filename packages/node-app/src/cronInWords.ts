import cronstrue from 'cronstrue'

/** A cron expression as a sentence: `Every 15 minutes`, `At 03:00`; itself, where there are no words for it. */
export function cronInWords(cron: string): string {
  try {
    return cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
  } catch {
    return cron
  }
}
