import { ArgumentError } from '@roundsman/engine'
import {
  asItIs,
  checkDate,
  checkFunction,
  checkOptions,
  checkParts,
  checkText,
  listOf,
  oneOf,
  optional,
  tell,
  type Check,
} from '@roundsman/engine/internal'
import type { Sql } from './sql.ts'
import { isSql } from './sql.ts'
import type { SweepCounts, SweepTarget } from './sweepTarget.ts'

const checkSql: Check<Sql> = (argument, value) => {
  if (isSql(value)) return value
  throw new ArgumentError(argument, `must be SQL, as sql\`…\` makes it, not ${tell(value)}`)
}

const FINDER = {
  where: checkSql,
  key: checkText,
  keyType: oneOf(['timestamptz', 'timestamp', 'date', 'uuid', 'int4', 'int8', 'text']),
}
const checkFinder: Check<object> = (argument, value) =>
  checkParts(argument, value, FINDER, `${argument}.`)
const checkFinders: Check<object[]> = (argument, value) => {
  const finders = listOf(checkFinder)(argument, value)
  if (finders.length > 0) return finders
  throw new ArgumentError(argument, 'is empty: give at least one way to find the rows by an index')
}

const TARGET = {
  table: checkText,
  finders: checkFinders,
  date: checkText,
  cutoff: checkDate,
  due: checkSql,
  population: optional(checkSql),
  nothing: asItIs,
  change: checkFunction,
} satisfies Record<keyof SweepTarget, unknown>

/** Returns the target unchanged, since its function may need it. */
export function checkTarget<C extends SweepCounts>(target: SweepTarget<C>): SweepTarget<C> {
  checkOptions('target', target, TARGET, { prefix: 'target.' })
  return target
}
