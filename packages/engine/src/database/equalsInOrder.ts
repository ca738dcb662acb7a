/**
 * The condition that a column, such as the name of a row's job, has one value, for rows in the order of time. Use it with
 * `order by "name", "startedAt" desc, "id" desc`, an order that only an index beginning with the column has.
 *
 * With `=` PostgreSQL would ignore the name in the order. It might then scan the rows of all jobs backwards until it has found
 * enough of this one, which may have none for long. With `between`, servers before 18 would continue beyond a span of time,
 * through all earlier rows of the job.
 */
export function equalsInOrder(column: string, value: string): string {
  return `${column} = any(array[${value}])`
}
