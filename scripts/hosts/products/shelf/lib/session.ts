import { createHmac, scryptSync, timingSafeEqual } from 'node:crypto';
import { eq } from 'drizzle-orm';
import { cookies } from 'next/headers';
import { db } from '@/lib/db';
import { readers } from '@/lib/db/schema';

const secret = () => process.env.SESSION_SECRET ?? '';
const sign = (name: string) => createHmac('sha256', secret()).update(name).digest('hex');

export async function logIn(name: string, password: string) {
  const [reader] = await db.select().from(readers).where(eq(readers.name, name));
  const given = scryptSync(password, secret(), 32);
  if (!reader || !timingSafeEqual(given, Buffer.from(reader.password, 'hex'))) return false;
  (await cookies()).set('reader', `${name}.${sign(name)}`, { httpOnly: true });
  return true;
}

export async function findReader() {
  const [name = '', signature] = ((await cookies()).get('reader')?.value ?? '').split('.');
  if (signature !== sign(name)) return null;
  const [reader] = await db.select().from(readers).where(eq(readers.name, name));
  return reader ?? null;
}
