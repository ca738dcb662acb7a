/** Packages that bring far more than is ever loaded, by the files that are needed: a pattern of their paths. */
const NEEDED: readonly [name: RegExp, path: RegExp][] = [
  // Compilers of queries for five databases, in two sizes and two kinds of modules, each with a map.
  [
    /^@prisma\/client$/,
    /^(?!runtime\/)|^runtime\/(?:client\.m?js|query_compiler_fast_bg\.postgresql\..*mjs)$/,
  ],
  // Nine to eighteen weights, each with a picture.
  [/^@expo-google-fonts\//, /^(package\.json|LICENSE.*|(400Regular|700Bold)\/.*\.ttf)$/],
]

/** Whether the product needs a file of a package. All files of a package that is not listed count as needed. */
export function isNeeded(name: string, path: string): boolean {
  return NEEDED.every(([names, paths]) => !names.test(name) || paths.test(path))
}
