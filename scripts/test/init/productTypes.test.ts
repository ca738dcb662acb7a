// Not quick: compiles products.
import { describe, expect, it } from 'vitest'
import { init } from '../../../packages/cli/test/init/product.ts'
import { compile, prepare } from './prepareProduct.ts'
import { PRODUCTS } from './products.ts'

/** Each product with each of its compilers. The first of them builds the products that are started. */
const cases = PRODUCTS.flatMap((product) =>
  product.compilers
    .slice(product.runs === 'worker' ? 1 : 0)
    .map((compiler) => ({ ...product, compiler })),
)

describe('what init writes compiles as it stands', () => {
  it.each(cases)('$name, TypeScript $compiler', async (product) => {
    const root = await prepare(product)

    expect(await compile(root, product.compiler, '--noEmit')).toEqual([])
    expect(await init(root)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Nothing to do/),
    })
  })
})
