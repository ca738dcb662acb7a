/**
 * The condition that a column, such as the name of a row's job, has one value, for rows that are wanted in the order of time.
 * To be used with `order by "name", "startedAt" desc, "id" desc`, which only an index that begins with the column lists.
 *
 * With `=` the order by name would mean nothing, and PostgreSQL may go back through the rows of all jobs until it has met
 * enough of this one, which may have none of late. With `between`, servers before 18 would go on beyond a span of time,
 * through all earlier rows of the job.
 */
export function equalsInOrder(column: string, value: string): string {
  return `${column} = any(array[${value}])`
}
