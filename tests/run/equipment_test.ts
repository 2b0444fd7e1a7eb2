import assert from "node:assert/strict";
import { describeAllLeftOut } from "./equipment.ts";

Deno.test("describeAllLeftOut: each component once, nothing when complete", () => {
  assert.equal(describeAllLeftOut(""), undefined);
  const line = (component: string): string =>
    JSON.stringify({ component, why: "absent", remedy: "install it" }) + "\n";
  const text = describeAllLeftOut(line("redis") + line("cluster") + line("redis")) ?? "";
  assert.equal(text.match(/needs redis/g)?.length, 1);
  assert.match(text, /needs cluster\n {2}why: {4}absent\n {2}to run: install it/);
});

Deno.test("describeAllLeftOut: every case that one absence leaves out, whoever told of it", () => {
  const line = (...cases: string[]): string =>
    JSON.stringify({ component: "a spare node", why: "absent", remedy: "add one", cases }) + "\n";
  assert.match(
    describeAllLeftOut(line("a: one", "a: two") + line("b: three", "a: one")) ?? "",
    /needs a spare node\n {2}case: {3}a: one\n {2}case: {3}a: two\n {2}case: {3}b: three\n {2}why: {4}absent/,
  );
});
