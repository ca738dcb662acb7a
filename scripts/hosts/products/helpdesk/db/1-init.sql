create table agents (
  id serial primary key,
  email text not null unique,
  password text not null,
  is_admin boolean not null default false
);

create table tickets (
  id serial primary key,
  subject text not null,
  "from" text not null,
  agent_id integer references agents (id),
  closed_at timestamptz(3),
  answered_at timestamptz(3),
  created_at timestamptz(3) not null default current_timestamp
);
