import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openStorage, type PrismaClient } from "@tideworks/storage";
import type { FastifyInstance } from "fastify";
import { buildApp } from "../src/app";

let storage: PrismaClient;
let app: FastifyInstance;

before(async () => {
  const databaseUrl = process.env.DATABASE_URL ?? "";
  storage = openStorage(databaseUrl);
  app = buildApp({ databaseUrl });
  await storage.berth.upsert({
    where: { code: "SPEC-1" },
    update: {},
    create: { code: "SPEC-1", lengthCm: 900 },
  });
});

after(async () => {
  await storage.booking.deleteMany({ where: { berth: { code: "SPEC-1" } } });
  await app.close();
  await storage.$disconnect();
});

test("lists the berths", async () => {
  const response = await app.inject({ method: "GET", url: "/berths" });
  assert.equal(response.statusCode, 200);
  assert.ok(response.json().some((berth: { code: string }) => berth.code === "SPEC-1"));
});

test("books a berth once a night", async () => {
  const payload = { berth: "SPEC-1", boat: "Petrel", night: "2026-07-01" };
  const first = await app.inject({ method: "POST", url: "/bookings", payload });
  assert.equal(first.statusCode, 201);
  const second = await app.inject({ method: "POST", url: "/bookings", payload });
  assert.equal(second.statusCode, 500);
  assert.equal(await storage.booking.count({ where: { boat: "Petrel" } }), 1);
});
