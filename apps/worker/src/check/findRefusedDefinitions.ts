import { readdir } from 'node:fs/promises'
import { extname } from 'node:path'
import { explainDefinitionError } from './explainDefinitionError.ts'
import type { Finding } from './finding.ts'

/**
 * What `defineJob` refuses in a catalogue, each file by itself: the catalogue as a whole cannot be imported, and the
 * first error of it is the last that it tells.
 */
export async function findRefusedDefinitions(catalogue: URL): Promise<Finding[]> {
  const files = await readdir(new URL('.', catalogue))
  const modules = files
    .filter((file) => extname(file) === extname(catalogue.pathname))
    .toSorted()
    .map((file) => new URL(file, catalogue))
    .filter(({ href }) => href !== catalogue.href)
  const findings: Finding[] = []
  for (const { href } of modules) {
    try {
      await import(href)
    } catch (error) {
      const finding = explainDefinitionError(error)
      // Two files may import the same one that is refused.
      if (finding && !findings.some(({ job }) => job === finding.job)) findings.push(finding)
    }
  }
  return findings
}
