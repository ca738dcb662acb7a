import { z } from 'zod'

/** Text that PostgreSQL can hold: it has no NUL. */
export function storableText({ min = 1, max }: { min?: number; max: number }) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((text) => !text.includes('\0'), 'contains a NUL character')
}
