import { expect, it } from 'vitest';
import { tidyTitle } from './titles';

it('tidies a title', () => {
  expect(tidyTitle('  The  Waves ')).toBe('The Waves');
});
