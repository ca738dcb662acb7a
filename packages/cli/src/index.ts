export type { Product } from './command/product.ts'
