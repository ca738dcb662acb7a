import { cronInWords } from '@roundsman/node-app/cronInWords'

/** A cron expression in words, as part of a sentence: `every 15 minutes`, `at 03:00`. */
export function describeCron(cron: string): string {
  const words = cronInWords(cron)
  return words.charAt(0).toLowerCase() + words.slice(1)
}
