/** `deno task mutations` runs them; that they can still be written in is checked here. */
import assert from "node:assert/strict";
import { MUTATIONS } from "../../mutations/mutations.ts";
import { edited } from "../../simulation/plant.ts";

const ROOT = new URL("../../../", import.meta.url);

Deno.test("MUTATIONS: each text stands exactly once in its file, and each is another", async () => {
  assert.ok(MUTATIONS.length >= 15);
  for (const mutation of MUTATIONS) {
    const text = await Deno.readTextFile(new URL(mutation.file, ROOT));
    assert.notEqual(edited(mutation.name, mutation, text), text, mutation.name);
  }
  assert.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length);
});
