import { createRequire } from 'node:module'
import { dirname } from 'node:path'

export interface InvoiceFont {
  /** Its name in the template. */
  family: string
  regular: string
  bold: string
}

/**
 * The fonts an invoice is printed in, each a whole family from npm, in two weights. Found by their packages, so
 * that they are where the package manager put them, for the source and for what is built from it.
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
      // Noto's Arabic fonts draw dots and letters as glyphs apart, and readers copy every such letter twice.
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

/** Each file is in a folder of its own, with nothing else that is a font. */
export function fontFolders(fonts: InvoiceFont[]): string[] {
  return fonts.flatMap(({ regular, bold }) => [dirname(regular), dirname(bold)])
}
