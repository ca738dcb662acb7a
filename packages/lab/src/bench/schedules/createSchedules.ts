import { defineJob, type Job } from '@roundsman/engine'

/** That many jobs, each due every second, with the default policies. */
export function createSchedules(count: number): Job[] {
  return Array.from({ length: count }, (_, index) =>
    defineJob({
      name: `everySecond${index}`,
      description: 'Does nothing, every second.',
      schedule: { cron: '* * * * * *' },
    }),
  ) as Job[]
}
