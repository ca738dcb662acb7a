import type { BulkWhich } from '../../actions/bulk.ts'
import type { PieceSearch } from '../../api/queries.ts'

/** Narrows what is shown to those with the value in the field, or with null to those with the label; widens it without a value. */
export function narrow<Search extends PieceSearch>(
  search: Search,
  field: string | null,
  value: string | null,
): Search {
  if (field === null) return { ...search, label: value ?? undefined }
  return { ...search, field: value === null ? undefined : field, value: value ?? undefined }
}

/** What is shown, as an act on all of it says that. */
export function bulkFilter(filter: PieceSearch, isLabelPart = false): BulkWhich {
  if (Object.values(filter).every((one) => one === undefined)) return { all: true }
  const { label, field, value, ...search } = filter
  return {
    ...search,
    ...(isLabelPart ? { labelPart: label } : { label }),
    ...(field !== undefined && { shown: { field, value: value ?? null } }),
  }
}

/** Says `labelled tenant 42` and `with tenant 42`. */
export function describeFilter(
  { label, field, value }: PieceSearch,
  isLabelPart = false,
): string[] {
  return [
    ...(label === undefined ? [] : [`labelled ${isLabelPart ? `with ${label} in it` : label}`]),
    ...(field === undefined
      ? []
      : [`with ${value === undefined ? `no ${field}` : `${field} ${value}`}`]),
  ]
}
