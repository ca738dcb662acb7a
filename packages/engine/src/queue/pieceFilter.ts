/** Which work people mean, where it waits or is a dead letter. Runs are found by the same parts of a label. */
export interface PieceFilter {
  name?: string | undefined
  /** Only work with this label. */
  label?: string | undefined
  /** Only work whose label contains this, in upper or lower case. */
  labelPart?: string | undefined
  /** Only work with this key, by which its job divides its work; empty: the work without one of jobs with keys. */
  key?: string | undefined
  /** Only work with this value in a field that its job shows, as text; null: without a value there. */
  shown?: ShownValue | undefined
}

export interface ShownValue {
  field: string
  value: string | null
}

/** The values of five parameters for `isAboutSql`. */
export function aboutValues({ label, labelPart, shown, key }: PieceFilter): (string | null)[] {
  return [label ?? null, labelPart ?? null, shown?.field ?? null, shown?.value ?? null, key ?? null]
}

/** Whether `of`, which has the columns of work, matches these five parameters, of which the first is `$<first>`. */
export function isAboutSql(of: string, first: number): string {
  const [label, part, field, value, key] = [0, 1, 2, 3, 4].map(
    (offset) => `$${first + offset}::text`,
  )
  return `(${label} is null or ${of}."label" = ${label})
   and (${part} is null or strpos(lower(${of}."label"), lower(${part})) > 0)
   and (${field} is null or (${of}."facts" -> 'shown' ->> ${field}) is not distinct from ${value})
   and (${key} is null or ${of}."key" = ${key})`
}
