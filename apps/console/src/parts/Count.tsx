/** Writes a number with its thousands set apart. */
export function Count({ value }: { value: number }) {
  return value.toLocaleString('en')
}
