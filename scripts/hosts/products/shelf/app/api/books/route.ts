import { addBook } from '@/app/actions';

export async function POST(request: Request) {
  const { title } = await request.json();
  await addBook(title);
  return Response.json({ title }, { status: 201 });
}
