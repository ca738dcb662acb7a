'use server';

import { db } from '@/lib/db';
import { books } from '@/lib/db/schema';
import { tidyTitle } from '@/lib/titles';

export async function addBook(title: string) {
  await db.transaction(async (tx) => {
    await tx.insert(books).values({ title: tidyTitle(title) });
  });
}
