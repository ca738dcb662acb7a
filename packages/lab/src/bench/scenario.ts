import type { Bench } from './openBench.ts'
import type { Summary } from '../statistics.ts'

/** `small` only tries out the code: it measures so little that its figures say nothing. */
export const SCALES = ['small', 'full'] as const
export type Scale = (typeof SCALES)[number]

/** One thing to measure. Its figures are kept as JSON, from which the report is written. */
export interface Scenario<Figures = unknown> {
  readonly name: string
  /** The heading in the report. */
  readonly title: string
  /** How many rounds, unless the command line says otherwise. */
  readonly rounds: number
  measure(bench: Bench): Promise<Figures>
  targets(figures: Figures): Target[]
  /** Markdown below the heading: what was measured, and how. */
  render(figures: Figures): string
  /** Drawn in files of their own, beside the text. */
  plots(figures: Figures): Plot[]
}

/** A figure with the bound that it has to meet. */
export interface Target {
  /** What is measured, for a line of a table. */
  readonly what: string
  readonly atLeast?: number
  readonly atMost?: number
  /** Written after the number: `×`, `ms`, `%`. */
  readonly unit: string
  /** Over all rounds, or once. Null when it could not be measured; the note says why. */
  readonly measured: Summary | number | null
  /** How to read the figure, or why there is none. */
  readonly note?: string | undefined
  /** Why a missed target is missed. Shown only then. */
  readonly obstacle?: string | undefined
}

export interface Plot {
  /** The file's name without its extension, unique in its scenario. */
  readonly name: string
  /** Describes the plot to people who cannot see it. */
  readonly title: string
  readonly unit: string
  readonly bars: readonly Bar[]
  /** A line across all bars, such as a target. */
  readonly limit?: { readonly label: string; readonly value: number }
}

export interface Bar {
  readonly label: string
  /** Over all rounds, or once. */
  readonly value: Summary | number
  /** Drawn in our colour. */
  readonly isOurs?: boolean
}

/**
 * Takes the type of the figures away, so that a list can hold scenarios of different figures. Each reads only what it
 * wrote.
 */
export function defineScenario<Figures>(scenario: Scenario<Figures>): Scenario {
  return scenario
}
