import { logIn } from '@/lib/session';

export async function POST(request: Request) {
  const { name, password } = await request.json();
  const isIn = await logIn(name, password);
  return Response.json({ name }, { status: isIn ? 200 : 401 });
}
