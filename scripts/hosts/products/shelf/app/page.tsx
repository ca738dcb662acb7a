import { addBook } from '@/app/actions';

async function add(form: FormData) {
  'use server';
  await addBook(String(form.get('title')));
}

export default function Home() {
  return (
    <form action={add}>
      <input name="title" />
      <button>Add</button>
    </form>
  );
}
