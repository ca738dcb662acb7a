import { z } from 'zod'
import type { Announcement } from '../store/channels.ts'

/** Whoever may connect may notify, so a payload can be anything. PostgreSQL bounds it to 8,000 bytes. */
const announcementSchema = z.object({
  ids: z.array(z.guid()),
  names: z.array(z.string()),
  ticks: z.array(z.string()),
}) satisfies z.ZodType<Announcement>

/** Undefined when the payload of a notification is not what a worker announces. */
export function readAnnouncement(payload: string): Announcement | undefined {
  try {
    return announcementSchema.parse(JSON.parse(payload))
  } catch {
    return undefined
  }
}
