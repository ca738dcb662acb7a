import { expect, it } from 'vitest'
import { tidyItem } from './items'

it('tidies an item', () => {
  expect(tidyItem('  Rye  bread ')).toBe('Rye bread')
})
