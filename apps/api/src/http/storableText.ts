import { z } from 'zod'

/** Text that PostgreSQL can hold, also within JSON: no NUL, and no half of a surrogate pair. */
export function storableText({ min = 1, max }: { min?: number; max: number }) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine(isStorable, 'contains a NUL character or half of a surrogate pair')
}

function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}
