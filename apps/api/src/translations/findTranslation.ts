import de from './de.json' with { type: 'json' }
import en from './en.json' with { type: 'json' }
import fr from './fr.json' with { type: 'json' }

const CATALOGUES: Record<string, Record<string, string>> = { de, en, fr }

/** Looks a translation up at its source, which is slow in a real product, and cached because of that. */
export function findTranslation(locale: string, key: string): string | undefined {
  const catalogue = Object.hasOwn(CATALOGUES, locale) ? CATALOGUES[locale] : undefined
  return catalogue && Object.hasOwn(catalogue, key) ? catalogue[key] : undefined
}
