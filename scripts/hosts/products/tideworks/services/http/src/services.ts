import { storage } from '@tideworks/storage'

export interface NewBooking {
  berth: string
  boat: string
  night: string
}

export type Services = ReturnType<typeof createServices>

export function createServices() {
  return {
    listBerths: async () => storage.berth.findMany({ orderBy: { code: 'asc' } }),

    bookBerth: ({ berth, boat, night }: NewBooking) =>
      storage.$transaction(async (tx) => {
        const { id: berthId } = await tx.berth.findUniqueOrThrow({ where: { code: berth } })
        const booking = await tx.booking.create({
          data: { berthId, boat, night: new Date(night) },
        })
        const nights = await tx.booking.count({ where: { boat } })
        if (nights > 14) throw new Error(`${boat} has stayed for fourteen nights`)
        return booking
      }),
  }
}
