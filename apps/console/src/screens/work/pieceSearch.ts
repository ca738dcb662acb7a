import type { PieceGroups } from '@roundsman/admin/contract'
import type { BulkWhich } from '../../actions/bulk.ts'
import type { PieceSearch } from '../../api/queries.ts'

/** By what work is grouped and found: its key, its label, or a field that its job shows. */
export type GroupedBy = Pick<PieceGroups['groups'][number], 'by' | 'field'>

/** Narrows what is shown to those with the value there; widens it without a value. */
export function narrow<Search extends PieceSearch>(
  search: Search,
  { by, field }: GroupedBy,
  given: string | null,
): Search {
  const value = given ?? undefined
  switch (by) {
    case 'key':
      return { ...search, key: value }
    case 'label':
      return { ...search, label: value }
    case 'field':
      return { ...search, field: value === undefined ? undefined : (field ?? undefined), value }
    default:
      return by satisfies never
  }
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

/** Says `with the key 42`, `labelled tenant 42` and `with tenant 42`. */
export function describeFilter(
  { label, field, value, key }: PieceSearch,
  isLabelPart = false,
): string[] {
  return [
    ...(key === undefined ? [] : [`with the key ${key}`]),
    ...(label === undefined ? [] : [`labelled ${isLabelPart ? `with ${label} in it` : label}`]),
    ...(field === undefined
      ? []
      : [`with ${value === undefined ? `no ${field}` : `${field} ${value}`}`]),
  ]
}
