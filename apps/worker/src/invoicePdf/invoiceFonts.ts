import { createRequire } from 'node:module'
import { dirname } from 'node:path'

export interface InvoiceFont {
  /** The font's name in the template. */
  family: string
  regular: string
  bold: string
}

/**
 * Finds the fonts of an invoice: whole families from npm, in two weights. It asks for their packages, so that source
 * and build find them wherever the package manager put them.
 */
export function invoiceFonts(): InvoiceFont[] {
  const require = createRequire(import.meta.url)
  return [
    {
      family: 'Noto Sans',
      regular: require.resolve('@expo-google-fonts/noto-sans/400Regular/NotoSans_400Regular.ttf'),
      bold: require.resolve('@expo-google-fonts/noto-sans/700Bold/NotoSans_700Bold.ttf'),
    },
    {
      // Noto's Arabic fonts draw dots and letters as separate glyphs, so that copied text has every such letter twice.
      family: 'Vazirmatn',
      regular: require.resolve('@expo-google-fonts/vazirmatn/400Regular/Vazirmatn_400Regular.ttf'),
      bold: require.resolve('@expo-google-fonts/vazirmatn/700Bold/Vazirmatn_700Bold.ttf'),
    },
    {
      family: 'Noto Sans Hebrew',
      regular:
        require.resolve('@expo-google-fonts/noto-sans-hebrew/400Regular/NotoSansHebrew_400Regular.ttf'),
      bold: require.resolve('@expo-google-fonts/noto-sans-hebrew/700Bold/NotoSansHebrew_700Bold.ttf'),
    },
    {
      family: 'Noto Sans JP',
      regular:
        require.resolve('@expo-google-fonts/noto-sans-jp/400Regular/NotoSansJP_400Regular.ttf'),
      bold: require.resolve('@expo-google-fonts/noto-sans-jp/700Bold/NotoSansJP_700Bold.ttf'),
    },
    {
      family: 'Noto Sans SC',
      regular:
        require.resolve('@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf'),
      bold: require.resolve('@expo-google-fonts/noto-sans-sc/700Bold/NotoSansSC_700Bold.ttf'),
    },
  ]
}

/** The folders of these fonts. Each holds one font and nothing else, so Typst finds no others there. */
export function fontFolders(fonts: InvoiceFont[]): string[] {
  return fonts.flatMap(({ regular, bold }) => [dirname(regular), dirname(bold)])
}
