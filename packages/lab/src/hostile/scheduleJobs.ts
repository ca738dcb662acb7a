import { defineJob, type ScheduledJob } from '@roundsman/engine'

/** Both versions define it alike. */
export const STEADY = 'steady'

const define = (name: string, cron: string) =>
  defineJob({
    name,
    schedule: { cron, missed: 'all', overlap: 'allow' },
  }) as ScheduledJob

/** What two versions of a product schedule, and what an override makes of the second. */
export const SCHEDULES: readonly (readonly ScheduledJob[])[] = [
  [
    define(STEADY, '* * * * * *'),
    define('disputed', '*/2 * * * * *'),
    define('removed', '*/5 * * * * *'),
  ],
  [
    define(STEADY, '* * * * * *'),
    define('disputed', '0 0 1 1 *'),
    define('added', '*/3 * * * * *'),
  ],
  [
    define(STEADY, '* * * * * *'),
    define('disputed', '1-59/2 * * * * *'),
    define('added', '*/3 * * * * *'),
  ],
]
