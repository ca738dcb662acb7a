import type { Check } from './checkGuarantees.ts'

export const checkSamples: Check = async (_database, { samples }) => {
  const wrong = samples.filter(({ rows, counted }) => rows !== counted)
  return {
    guarantee: 'G3',
    name: 'rows changed = sum of the counts, at any instant',
    isPassed: samples.length > 0 && wrong.length === 0,
    figures: `${samples.length} snapshots, ${wrong.length} of them at odds`,
  }
}
