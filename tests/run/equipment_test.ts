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
