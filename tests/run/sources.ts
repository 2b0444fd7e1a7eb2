const ROOT = new URL("../../", import.meta.url).pathname;

/** The repository's folder, with a slash at its end. */
export function rootFolder(): string {
  return ROOT;
}

/** Every TypeScript source of the program: `main.ts` and all below `src/`, sorted, relative to the root. */
export function programSources(): string[] {
  return [...filesBelow("main.ts"), ...filesBelow("src")].filter((path) => path.endsWith(".ts")).sort();
}

/** Everything that is type-checked: the program, its tests and its benchmarks. */
export function allSources(): string[] {
  const rest = [...filesBelow("tests"), ...filesBelow("bench")].filter((path) => path.endsWith(".ts"));
  return [...programSources(), ...rest.sort()];
}

/** Files of the real tier that stand on no cluster: they run while it is still being built. */
const WITHOUT_CLUSTER =
  /^tests\/real\/(amqp|idempotency|kubernetes_(consolidate|gate_script|tls)|listen|store)_/;

/** Files of the real tier that change the machine or the cluster for everybody, or whose figures others would spoil. */
const ALONE = new Set([
  "tests/real/equipment_test.ts", // cordons the node
  "tests/real/faults_test.ts", // kills the API server
  "tests/real/kubernetes_load_test.ts", // counts requests and memory
]);

/** Where a file of the real tier has its place. */
export type RealTurn = "without the cluster" | "beside others" | "alone";

/** The turn in which a file of the real tier runs. */
export function realTurn(path: string): RealTurn {
  if (WITHOUT_CLUSTER.test(path)) return "without the cluster";
  return ALONE.has(path) ? "alone" : "beside others";
}

/** The test files of a tier: `tests/service` and `tests/real` have their own, all others are the unit tests. */
export function testFiles(tier: "ok" | "service" | "real"): string[] {
  const tests = filesBelow("tests").filter((path) => path.endsWith("_test.ts")).sort();
  const special = ["service", "real"].map((name) => `tests/${name}/`);
  if (tier !== "ok") return tests.filter((path) => path.startsWith(`tests/${tier}/`));
  return tests.filter((path) => !special.some((folder) => path.startsWith(folder)));
}

function filesBelow(path: string): string[] {
  let entry: Deno.FileInfo;
  try {
    entry = Deno.lstatSync(ROOT + path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
  if (entry.isFile) return [path];
  if (!entry.isDirectory) return [];
  return [...Deno.readDirSync(ROOT + path)].flatMap((child) => filesBelow(`${path}/${child.name}`));
}
