import assert from "node:assert/strict";
import { compileArguments, DATA, explainFailure, PERMISSIONS, V8_FLAGS } from "../../deploy/compile.ts";
import { HEAVY_MODULES } from "../../src/cli/heavy.ts";
import { programSources, rootFolder } from "../run/sources.ts";

Deno.test("deploy/compile.ts: carries every file that the program reads beside its sources", () => {
  const readers: Record<string, string> = {
    "src/phases/load.ts": "phases",
    "src/store/migrate.ts": "migrations",
    "src/drivers/kubernetes/driver.ts": "src/drivers/kubernetes/consolidate.sh",
  };
  const scripts = ["src/drivers/kubernetes/gate.sh"];
  const loaders = ["src/cli/heavy.ts"];
  const found = programSources().filter((file) =>
    /import\.meta\.(url|dirname|filename|resolve)/.test(Deno.readTextFileSync(rootFolder() + file))
  );
  assert.deepEqual(
    found.sort(),
    [...Object.keys(readers), ...loaders].sort(),
    "say in deploy/compile.ts what a new reader reads",
  );
  assert.deepEqual([...DATA].sort(), [...Object.values(readers), ...scripts].sort());
  for (const item of DATA) assert.ok(Deno.statSync(rootFolder() + item), item);
});

Deno.test("deploy/compile.ts: the tasks run with the same permissions as the executable", () => {
  const manifest: { tasks: Record<string, string> } = JSON.parse(
    Deno.readTextFileSync(`${rootFolder()}deno.json`),
  );
  for (const name of ["serve", "demo"]) {
    assert.equal(
      manifest.tasks[name],
      `deno run ${[PERMISSIONS[0], V8_FLAGS, ...PERMISSIONS.slice(1)].join(" ")} main.ts ${name}`,
    );
  }
  const args = compileArguments();
  for (const module of HEAVY_MODULES) assert.ok(args.includes(module), `${module}, which Deno cannot see`);
  assert.ok(
    args.includes("npm:@libsql/linux-x64-gnu"),
    "libSQL's native package, which nothing imports by name",
  );
  assert.ok(!args.some((arg) => /allow-(all|run)|^-A$/.test(arg)), "never to start another program");
});

Deno.test("explainFailure: one line for a runtime out of reach", () => {
  const stderr = "error: Writing executable\n0: error sending request for url " +
    "(https://dl.example/release/v2/denort-x86_64-unknown-linux-gnu.zip): dns error";
  const line = explainFailure(stderr);
  assert.match(line, /denort-x86_64-unknown-linux-gnu\.zip cannot be fetched/);
  assert.doesNotMatch(line, /\n/);
  assert.match(
    explainFailure("error: Cannot find module"),
    /see the message above/,
    "a fault of the program",
  );
});
