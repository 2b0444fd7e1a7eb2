import assert from "node:assert/strict";
import {
  findCycles,
  type Finding,
  findWrongWays,
  type ImportGraph,
  resolveImport,
} from "./architecture/imports.ts";
import { findImpurities } from "./architecture/purity.ts";
import { readSyntax, type Syntax } from "./architecture/syntax.ts";
import { programSources, rootFolder } from "./run/sources.ts";

function readProgram(): Map<string, Syntax> {
  return new Map(
    programSources().map((file) => [file, readSyntax(file, Deno.readTextFileSync(rootFolder() + file))]),
  );
}

function graphOf(program: Map<string, Syntax>): ImportGraph {
  return new Map([...program].map(([file, { imports }]) => {
    return [file, imports.flatMap((specifier) => resolveImport(file, specifier) ?? [])];
  }));
}

function describe(findings: Finding[]): string {
  return findings.map(({ file, problem }) => `${file} ${problem}`).join("\n");
}

Deno.test("architecture: the program's imports point one way, without cycles, to a pure core", async (t) => {
  const program = readProgram();
  const graph = graphOf(program);
  assert.ok(program.size > 20, "the sources were found");
  await t.step("imports point one way", () => {
    assert.equal(describe(findWrongWays(graph)), "");
  });
  await t.step("no import cycle", () => {
    assert.deepEqual(findCycles(graph).map((cycle) => cycle.join(" → ")), []);
  });
  await t.step("the core is pure", () => {
    const core = [...program].filter(([file]) => file.startsWith("src/core/"));
    assert.ok(core.length > 5, "the core was found");
    assert.equal(describe(core.flatMap(([file, syntax]) => findImpurities(file, syntax))), "");
  });
});

Deno.test("findWrongWays: each rule on an example", () => {
  const cases: Array<[string, string, boolean, string]> = [
    ["main.ts", "src/cli/args.ts", true, "the way down"],
    ["main.ts", "src/core/fault.ts", true, "skipping is fine"],
    ["src/app.ts", "src/runner/runner.ts", true, "the composition root knows all parts"],
    ["src/app/broker.ts", "src/app.ts", true, "the root and its folder are one unit"],
    ["src/app.ts", "src/machine.ts", true, "the root chooses the clock"],
    ["src/runner/slots.ts", "src/machine.ts", false, "a part takes its clock as a parameter"],
    ["src/cli/args.ts", "main.ts", false, "nothing imports the entry"],
    ["src/app.ts", "src/cli/args.ts", false, "the way up"],
    ["src/intake/accept.ts", "src/runner/runner.ts", false, "siblings"],
    ["src/api/api.ts", "src/app.ts", false, "the way up"],
    ["src/store/jobs.ts", "src/drivers/lab/driver.ts", false, "siblings"],
    ["src/phases/load.ts", "src/store/db.ts", false, "siblings"],
    [
      "src/drivers/lab/driver.ts",
      "src/drivers/kubernetes/driver.ts",
      false,
      "drivers share the interface alone",
    ],
    ["src/drivers/lab/driver.ts", "src/drivers/lab/clock.ts", true, "one unit"],
    ["src/store/jobs.ts", "src/intake/accept.ts", false, "the way up"],
    ["src/store/jobs.ts", "src/log.ts", true, "everybody logs"],
    ["src/log.ts", "src/scrub.ts", true, "what is shared may build on itself"],
    ["src/config/load.ts", "src/core/cidr.ts", true, "what is shared knows the core"],
    ["src/config/load.ts", "src/store/db.ts", false, "what is shared knows nothing else"],
    [
      "src/config/sections/drivers.ts",
      "src/drivers/lab/settings.ts",
      true,
      "the configuration has a section per driver",
    ],
    [
      "src/config/sections/drivers.ts",
      "src/drivers/lab/driver.ts",
      false,
      "and knows nothing else of a driver",
    ],
    ["src/config/schema.ts", "src/drivers/lab/settings.ts", false, "in that one place"],
    ["src/core/plan.ts", "src/log.ts", false, "the core knows nobody"],
    ["src/core/plan.ts", "src/core/step.ts", true, "one unit"],
    ["src/core/plan.ts", "deno.json", false, "the core imports nothing but itself"],
    ["src/version.ts", "deno.json", true, "data has no direction"],
    ["src/store/db.ts", "tests/fake_clock.ts", false, "the program knows nothing of its tests"],
    ["src/helpers/all.ts", "src/core/plan.ts", false, "a folder without a place"],
  ];
  for (const [file, target, allowed, reason] of cases) {
    const findings = findWrongWays(new Map([[file, [target]]]));
    assert.equal(findings.length === 0, allowed, `${file} → ${target}: ${reason}: ${describe(findings)}`);
  }
});

Deno.test("findCycles: finds the way round, once", () => {
  const graph = (text: string): ImportGraph => {
    const edges = text.split(" ").map((edge): [string, string[]] => {
      const [from = "", to = ""] = edge.split(">");
      return [from, to === "" ? [] : to.split(",")];
    });
    return new Map(edges);
  };
  assert.deepEqual(findCycles(graph("a>b,c b>c c>")), [], "two ways to one file are no cycle");
  assert.deepEqual(findCycles(graph("a>b b>c c>a d>a")), [["a", "b", "c", "a"]]);
  assert.deepEqual(findCycles(graph("a>a")), [["a", "a"]], "a file that imports itself");
  assert.deepEqual(findCycles(graph("a>b b>a c>d d>c")), [["a", "b", "a"], ["c", "d", "c"]]);
});

Deno.test("resolveImport: relative to the importing file", () => {
  const cases: Array<[string, string, string | undefined, string]> = [
    ["src/core/plan.ts", "./step.ts", "src/core/step.ts", "beside"],
    ["src/core/plan.ts", "../log.ts", "src/log.ts", "above"],
    ["src/version.ts", "../deno.json", "deno.json", "the root"],
    ["src/version.ts", "../../other/src/log.ts", "../other/src/log.ts", "out of the repository"],
    ["src/core/plan.ts", "zod", undefined, "a package"],
    ["src/core/plan.ts", "node:fs", undefined, "a built-in module"],
  ];
  for (const [file, specifier, expected, reason] of cases) {
    assert.equal(resolveImport(file, specifier), expected, reason);
  }
});

Deno.test("readSyntax: every way to import is seen, texts and comments are not", () => {
  const source = `
    import a, { type B } from "./a.ts"; // import "./comment.ts"
    import type { C } from "./c.ts";
    import "./effect.ts";
    export * from "./all.ts";
    export { d } from "./d.ts";
    export const text = 'import "./text.ts"' + \`from "./template.ts"\`;
    type E = import("./e.ts").E;
    const f = await import("./f.ts");`;
  const expected = ["./a.ts", "./c.ts", "./effect.ts", "./all.ts", "./d.ts", "./e.ts", "./f.ts"];
  assert.deepEqual(readSyntax("example.ts", source).imports.sort(), expected.sort());
  assert.throws(
    () => readSyntax("example.ts", "const a = 1;\n;\nDeno.exit();"),
    /only a part/,
    "an unread rest is no clean bill",
  );
  assert.throws(() => readSyntax("example.ts", "// deno-fmt-ignore\nconst a = 1;"), /hides code/);
});

Deno.test("findImpurities: each rule on an example", () => {
  const cases: Array<[string, RegExp, string]> = [
    ['import { z } from "zod";', /package zod/, "packages"],
    ['import type { Server } from "node:net";', /package node:net/, "types of packages too"],
    ['import data from "./data.json" with { type: "json" };', /not a source/, "data is read, not known"],
    ['const later = await import("./later.ts");', /loads at run time/, "dynamic import"],
    ["const here = import.meta.url;", /loads at run time/, "where the file lies"],
    ['Deno.readTextFileSync("/etc/passwd");', /uses Deno/, "the runtime"],
    ["let connection: Deno.Conn;", /uses Deno/, "its types too"],
    ["const text = `${Deno.pid}`;", /uses Deno/, "inside a template"],
    ["const { env } = globalThis.Deno;", /globalThis/, "by the back door"],
    ["process.exit(1);", /uses process/, "Node's name of it"],
    ['const answer = await fetch("http://site");', /the network/, "network"],
    ['console.log("x");', /the terminal/, "output"],
    ["const now = Date.now();", /Date\.now: the clock/, "clock"],
    ['const now = Date["now"]();', /Date\.now: the clock/, "clock, computed"],
    ["const now = new Date();", /a Date of now/, "clock"],
    ["const now = new Date;", /a Date of now/, "clock, without brackets"],
    ["const now = Date();", /a Date of now/, "clock, as a function"],
    ["const { now } = Date;", /takes Date or Math apart/, "clock under another name"],
    ["const D = Date; const now = new D();", /takes Date or Math apart/, "clock under another name"],
    ["const key = 'now'; Date[key]();", /takes Date or Math apart/, "clock, by a name from elsewhere"],
    ["const begun = performance.now();", /the clock/, "clock"],
    ["setTimeout(() => {}, 1);", /the clock/, "timers"],
    ["const signal = AbortSignal.timeout(1);", /the clock/, "timers"],
    ["const roll = Math.random();", /randomness/, "randomness"],
    ["const { random } = Math;", /takes Date or Math apart/, "randomness under another name"],
    ["const id = crypto.randomUUID();", /randomness/, "randomness"],
    ["function roll(source = Math.random) { return source(); }", /randomness/, "as a default"],
    ["const sorted = names.sort((a, b) => a.localeCompare(b));", /language/, "the machine's language"],
    ["const hour = date.getHours();", /time zone/, "the machine's time zone"],
  ];
  for (const [source, problem, reason] of cases) {
    assert.match(
      describe(findImpurities("src/core/x.ts", readSyntax("x.ts", source))),
      problem,
      `${reason}: ${source}`,
    );
  }
});

Deno.test("findImpurities: what only looks impure is not", () => {
  const clean = `
    import { sha256 } from "@noble/hashes/sha2.js";
    import type { Clock } from "./clock.ts"; // Date.now() and Deno are words here
    export interface Surroundings { crypto: boolean; fetch(): void; performance?: number }
    export const words = "Math.random() in Deno" + \`new Date()\`;
    export const marks = { console: 1, process: 2, Deno: "runtime" };
    export function later(clock: Clock, from: Date): Date {
      if (from instanceof Date && marks.process > Math.max(1, 2)) return new Date(clock.now());
      return new Date(Date.UTC(2026, 0, 1) + Date.parse(words));
    }
    export class Meter { crypto = 1; fetch(): number { return this.crypto; } }
    export type Signal = AbortSignal;`;
  assert.equal(describe(findImpurities("src/core/x.ts", readSyntax("x.ts", clean))), "");
});
