import assert from "node:assert/strict";
import { HEAVY_MODULES } from "../../src/cli/heavy.ts";

interface Resolved {
  specifier?: string;
}

interface Module {
  specifier: string;
  dependencies?: { code?: Resolved; isDynamic?: boolean }[];
}

async function modules(): Promise<Map<string, Module>> {
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", "main.ts"],
    cwd: new URL("../..", import.meta.url),
    stderr: "null",
  }).output();
  assert.ok(success, "deno info reads main.ts");
  const graph: { modules: Module[] } = JSON.parse(new TextDecoder().decode(stdout));
  return new Map(graph.modules.map((module) => [module.specifier, module]));
}

/** What is loaded when `from` is: its imports, and theirs; dynamic ones, which only may be loaded, if wanted. */
function loaded(graph: Map<string, Module>, from: string[], dynamic = false): Set<string> {
  const found = new Set<string>();
  const visit = (specifier: string): void => {
    if (found.has(specifier)) return;
    found.add(specifier);
    for (const { code, isDynamic } of graph.get(specifier)?.dependencies ?? []) {
      if (code?.specifier !== undefined && (dynamic || isDynamic !== true)) visit(code.specifier);
    }
  };
  from.forEach(visit);
  return found;
}

Deno.test("main.ts: a command that asks the service loads nothing but the parser of its arguments", async () => {
  const graph = await modules();
  const root = new URL("../../", import.meta.url).href;
  for (const name of ["status", "permits", "plan", "drift", "connection", "events", "jobs", "version"]) {
    const command = `${root}src/cli/commands/${name}.ts`;
    assert.ok(graph.has(command), `${name} is part of the program`);
    const all = [...loaded(graph, [`${root}main.ts`, command])];
    const packages = all.filter((specifier) => !specifier.startsWith("file:"));
    assert.deepEqual(
      packages.filter((specifier) => !/@optique\/core/.test(specifier)),
      [],
      `packages of ${name}`,
    );
    const own = all.filter((specifier) => specifier.startsWith(root)).map((specifier) =>
      specifier.slice(root.length)
    );
    const foreign = own.filter((file) =>
      !/^(main\.ts|src\/(cli|core)\/.*|src\/((version|machine)\.ts|config\/nearest\.ts)|deno\.json)$/.test(
        file,
      )
    );
    assert.deepEqual(foreign, [], `sources of ${name}`);
  }
});

Deno.test("main.ts: wps status PERMIT loads no package, the parser of arguments neither", async () => {
  const graph = await modules();
  const root = new URL("../../", import.meta.url).href;
  const all = [...loaded(graph, [`${root}main.ts`, `${root}src/cli/quick.ts`])];
  assert.deepEqual(all.filter((specifier) => !specifier.startsWith("file:")), []);
});

Deno.test("main.ts: Deno sees no way from it to the service, whose graph it would read at every start", async () => {
  const graph = await modules();
  const root = new URL("../../", import.meta.url).href;
  const seen = [...loaded(graph, [`${root}main.ts`], true)];
  const units = [
    "src/app",
    "src/api/",
    "src/store/",
    "src/drivers/",
    "src/runner/",
    "src/intake/",
    "src/config/sch",
  ];
  assert.deepEqual(seen.filter((file) => units.some((unit) => file.startsWith(root + unit))), []);
  for (const module of HEAVY_MODULES) {
    assert.ok(await exists(root + module), `${module} is there to be loaded`);
  }
});

async function exists(url: string): Promise<boolean> {
  return (await Deno.stat(new URL(url))).isFile;
}
