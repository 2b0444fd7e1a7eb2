import { type BuildOutcome, startBuildInBackground } from "./build.ts";
import { rabbitmqInstalled } from "../services/rabbitmq.ts";
import { redisInstalled } from "../services/redis.ts";

/** A component that some tests need and some machines lack. */
export type Component = "cluster" | "rabbitmq" | "redis";

/** What a run did without, and what would change that. */
export interface LeftOut {
  /** A {@link Component}, or what else is absent, in words that end "what needs …". */
  component: string;
  why: string;
  remedy: string;
  /** The tests concerned, where they are not all that need it by name. */
  cases?: string[];
}

/** File into which test processes append what they left out, one JSON object per line; set by the runner. */
export const LEFT_OUT_FILE = "WPS_TEST_LEFT_OUT";

/** How the runner's build ended, as JSON, so that test processes need not ask again; set by the runner. */
export const BUILD_OUTCOME = "WPS_TEST_BUILD_OUTCOME";

const BUILD =
  "Run tests/cluster/build.sh as root (Debian packages, Go programs; about 10 minutes the first time)";
const MACHINE =
  "Use a Debian machine or container where you are root with CAP_SYS_ADMIN and CAP_NET_ADMIN, " +
  "or name a cluster of your own: WPS_TEST_KUBECONFIG=/path/to/kubeconfig";

const decided = new Map<Component, Promise<LeftOut | undefined>>();

/**
 * Whether tests that need a component can run here. Call it at the top of a test file:
 * `const ignore = !(await requireOrReport("rabbitmq"));`
 *
 * Out: true when it is there. With CI=true an absent component throws, so that the run fails (DESIGN 12);
 * elsewhere the answer is false and what was left out is said loudly, at once and at the end of the run.
 * For the cluster the first call waits for its build.
 */
export async function requireOrReport(component: Component): Promise<boolean> {
  let decision = decided.get(component);
  if (decision === undefined) {
    decision = absence(component);
    decided.set(component, decision);
    const leftOut = await decision;
    if (leftOut !== undefined) report(leftOut);
  }
  const leftOut = await decision;
  if (leftOut === undefined) return true;
  if (Deno.env.get("CI") === "true") {
    throw new Error(
      `${component} is absent, and with CI=true that is a failure: ${leftOut.why}. ${leftOut.remedy}`,
    );
  }
  return false;
}

/** What is missing for a component; undefined when it can be started. */
export async function absence(component: Component): Promise<LeftOut | undefined> {
  switch (component) {
    case "cluster":
      return await clusterAbsence();
    case "rabbitmq":
      return rabbitmqInstalled() ? undefined : packageAbsence(component, "rabbitmq-server");
    case "redis":
      return redisInstalled() ? undefined : packageAbsence(component, "redis-server");
  }
}

/** Why this machine can run no test cluster at all, whatever is built; undefined when it can. */
export function machineLacks(): string | undefined {
  if (Deno.build.os !== "linux" || !exists("/etc/debian_version")) return "this is not Debian";
  if (Deno.uid() !== 0) return "the test run is not root";
  const capabilities = Deno.readTextFileSync("/proc/self/status").match(/^CapEff:\s*([0-9a-f]+)$/m)?.[1] ??
    "0";
  const [admin, net] = [21n, 12n]; // CAP_SYS_ADMIN, CAP_NET_ADMIN in capability.h
  const held = BigInt(`0x${capabilities}`);
  return (held >> admin & held >> net & 1n) === 1n
    ? undefined
    : "root lacks CAP_SYS_ADMIN or CAP_NET_ADMIN here";
}

async function clusterAbsence(): Promise<LeftOut | undefined> {
  const component = "cluster";
  const site = Deno.env.get("WPS_TEST_KUBECONFIG");
  if (site !== undefined) {
    if (exists(site)) return undefined;
    return {
      component,
      why: `WPS_TEST_KUBECONFIG names no file: ${site}`,
      remedy: "Correct the path or unset it",
    };
  }
  const lacks = machineLacks();
  if (lacks !== undefined) return { component, why: lacks, remedy: MACHINE };
  const known = Deno.env.get(BUILD_OUTCOME);
  const outcome: BuildOutcome = known === undefined ? await startBuildInBackground().done : JSON.parse(known);
  if (outcome.kind === "ready") return undefined;
  return { component, why: outcome.why, remedy: BUILD };
}

function packageAbsence(component: Component, name: string): LeftOut {
  return {
    component,
    why: `Debian's ${name} is not installed`,
    remedy: `apt-get install ${name}, or: ${BUILD}`,
  };
}

/** Notes that something was left out: at once for whoever looks on, and for the end of the run. */
export function report(leftOut: LeftOut): void {
  const file = Deno.env.get(LEFT_OUT_FILE);
  if (file !== undefined) Deno.writeTextFileSync(file, JSON.stringify(leftOut) + "\n", { append: true });
  console.error(describeLeftOut(leftOut));
}

/** One left-out component in words for the person at the terminal. */
export function describeLeftOut({ component, why, remedy, cases = [] }: LeftOut): string {
  const reason = why.replaceAll("\n", "\n          ");
  const names = cases.map((name) => `\n  case:   ${name}`).join("");
  return `LEFT OUT: what needs ${component}${names}\n  why:    ${reason}\n  to run: ${remedy}`;
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
