import assert from "node:assert/strict";
import { report } from "../cluster/availability.ts";
import { rootFolder } from "../run/sources.ts";

Deno.test("deno task compile: builds the executable and tries it, or says that its runtime is out of reach", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["task", "compile"],
    cwd: rootFolder(),
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (code === 0) {
    assert.match(said, /dist\/wps is built; its version, phases and demo were tried/);
    return;
  }
  assert.equal(code, 1, said);
  // Whatever else fails is the program's fault. The machine's network is nobody's, also in CI.
  const why = /the runtime \S+ cannot be fetched from here/.exec(said)?.[0] ?? assert.fail(said);
  report({
    component: "deno compile",
    why,
    remedy: "Run it where dl.deno.land is reachable, or set DENORT_BIN",
  });
});
