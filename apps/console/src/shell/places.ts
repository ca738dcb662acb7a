/** The pages that the header links, that `g` and their key lead to, and that the search finds. */
export const PLACES = [
  { to: '/', key: 'o', label: 'Overview' },
  { to: '/jobs', key: 'j', label: 'Jobs' },
  { to: '/runs', key: 'r', label: 'Runs' },
  { to: '/queues', key: 'q', label: 'Queues' },
  { to: '/waiting', key: 'a', label: 'Waiting' },
  { to: '/dead-letters', key: 'd', label: 'Dead letters' },
  { to: '/limits', key: 'l', label: 'Limits' },
  { to: '/workers', key: 'w', label: 'Workers' },
] as const

export type Place = (typeof PLACES)[number]['to']
