/**
 * The tables in a database do not fit this version of the engine.
 *   missing  None of our tables exists. `migrate` creates them.
 *   other    They are of another baseline, and do not change; `what` has its name, if it has one.
 *   newer    A newer version has made changes with `breaks`; `what` lists them. Only an update of this process helps. Other changes of a newer version are no error.
 */
export class TablesError extends Error {
  override readonly name = 'TablesError'
  readonly kind: 'missing' | 'other' | 'newer'
  readonly schema: string
  readonly what: readonly string[]
  /** The message without the remedy, for hosts that give another remedy. */
  readonly problem: string

  constructor(kind: TablesError['kind'], schema: string, what: readonly string[], cause?: unknown) {
    const [problem, remedy] = describe(kind, schema, what)
    super(`${problem}; ${remedy}`, cause === undefined ? undefined : { cause })
    this.kind = kind
    this.schema = schema
    this.what = what
    this.problem = problem
  }
}

function describe(
  kind: TablesError['kind'],
  schema: string,
  what: readonly string[],
): [problem: string, remedy: string] {
  const tables = `Roundsman's tables in the schema ${schema} of this database`
  switch (kind) {
    case 'missing':
      return [`${tables} are missing`, 'run npx roundsman migrate']
    case 'other':
      return [
        `${tables} are of another baseline, ${what[0] ?? 'which has no name'}, and were not changed`,
        // A schema's name has no quotation mark.
        `npx roundsman export --schema '${schema}' > roundsman.jsonl saves what they hold, then let this version have an empty schema or database`,
      ]
    case 'newer':
      return [
        `${tables} are of a newer version, with which this version must not work: ${what.join(', ')}`,
        'update the engine of this process',
      ]
    default:
      return kind satisfies never
  }
}
