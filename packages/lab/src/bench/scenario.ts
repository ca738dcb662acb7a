import type { Bench } from './openBench.ts'

/** `small` is for trying out: the same code with so little work that its figures say nothing. */
export const SCALES = ['small', 'full'] as const
export type Scale = (typeof SCALES)[number]

/** One thing that is measured. Its figures are kept as JSON, and the report is made of what was kept. */
export interface Scenario<Figures = unknown> {
  readonly name: string
  /** The heading in the report. */
  readonly title: string
  /** Rounds where the command line names none. */
  readonly rounds: number
  measure(bench: Bench): Promise<Figures>
  targets(figures: Figures): Target[]
  /** Markdown below the heading: what was measured, and how. */
  render(figures: Figures): string
  /** Drawn beside the text, as files of their own. */
  plots(figures: Figures): Plot[]
}

/** What a figure has to be, and what it is. */
export interface Target {
  /** What is measured, for a line in a table. */
  readonly what: string
  readonly atLeast?: number
  readonly atMost?: number
  /** Behind the number: `×`, `ms`, `%`. */
  readonly unit: string
  /** Null when it could not be measured; the note says why. */
  readonly measured: number | null
  /** The smallest and the largest of all rounds. */
  readonly spread?: Spread
  /** How to read the figure, or why there is none. */
  readonly note?: string
  /** What stands in the way; said where the target is missed. */
  readonly obstacle?: string
}

export interface Spread {
  readonly min: number
  readonly max: number
}

export interface Plot {
  /** Of the file, without its extension; unique in its scenario. */
  readonly name: string
  /** What is seen, for those who do not see it. */
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** A line across all bars, such as a target. */
  readonly limit?: { readonly label: string; readonly value: number }
}

export interface Bar {
  readonly label: string
  readonly value: number
  readonly spread?: Spread
  /** Drawn in the colour of ours. */
  readonly isOurs?: boolean
}

/** For a list of scenarios, whose figures differ: what is read back was written by the same scenario. */
export function defineScenario<Figures>(scenario: Scenario<Figures>): Scenario {
  return scenario
}
