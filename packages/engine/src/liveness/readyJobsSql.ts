/**
 * Of the jobs that the given parameter names, those with work that could be taken now. Delayed work and
 * retries send no notification.
 */
export function readyJobsSql(names: string): string {
  return `
  select n.name from unnest(${names}::text[]) n(name) where exists (
    select from pgboss.job j
    where j.name = n.name and j.state < 'active' and not j.blocked and j.start_after <= now()
  )`
}
