import cronstrue from 'cronstrue'

/** A cron expression in words, as part of a sentence: `every 15 minutes`, `at 03:00`. */
export function describeCron(cron: string): string {
  try {
    const words = cronstrue.toString(cron, { use24HourTimeFormat: true, verbose: false })
    return words.charAt(0).toLowerCase() + words.slice(1)
  } catch {
    return cron
  }
}
