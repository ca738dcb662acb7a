/** The pages that the header links, that `g` and their key lead to, and that the search finds by title. */
export const PLACES = [
  { to: '/', key: 'o', label: 'Overview', title: 'Overview' },
  { to: '/jobs', key: 'j', label: 'Jobs', title: 'Jobs' },
  { to: '/runs', key: 'r', label: 'Runs', title: 'Runs' },
  { to: '/queue', key: 'q', label: 'Queue', title: 'Queue and dead letters' },
  { to: '/limits', key: 'l', label: 'Limits', title: 'Limits' },
  { to: '/workers', key: 'w', label: 'Workers', title: 'Workers' },
] as const

export type Place = (typeof PLACES)[number]['to']
