import { BUILD_OUTCOME, describeLeftOut, type LeftOut, machineLacks } from "../cluster/availability.ts";
import { type Build, startBuildInBackground } from "../cluster/build.ts";
import { type Cluster, startCluster } from "../cluster/harness.ts";

/** How often a waiting run says what it waits for. */
const SAY_AGAIN_MS = 30_000;

/** What the real tier stands on: built beside the fast tiers, up for the whole real tier, taken down after it. */
export class Equipment {
  #build: Build | undefined;
  #cluster: Cluster | undefined;

  /** Begins to build, where this machine can run a cluster and the site names none of its own. */
  prepare(): void {
    if (Deno.env.has("WPS_TEST_KUBECONFIG") || machineLacks() !== undefined) return;
    console.log("building the test cluster in the background");
    this.#build = startBuildInBackground();
  }

  /**
   * Waits for the build and starts the cluster. Out: environment for the tests.
   * Throws an Error when what was built does not start: that is a failure, not an absence.
   */
  async start(): Promise<Record<string, string>> {
    if (this.#build === undefined) return {};
    const build = this.#build;
    const say = (): void => console.log(`waiting for the build: ${build.lines.at(-1) ?? "starting"}`);
    const timer = setInterval(say, SAY_AGAIN_MS);
    const outcome = await build.done.finally(() => clearInterval(timer));
    this.#build = undefined;
    console.log(build.lines.join("\n"));
    if (outcome.kind === "ready") this.#cluster = await startCluster();
    return { [BUILD_OUTCOME]: JSON.stringify(outcome) };
  }

  /** Ends the build if it still runs, and this run's use of the cluster. Safe to repeat. */
  async stop(): Promise<void> {
    await this.#build?.stop();
    this.#build = undefined;
    await this.#cluster?.stop();
    this.#cluster = undefined;
  }
}

/** What a run did without, in words and in a frame that cannot be overlooked; undefined when it had everything. */
export function describeAllLeftOut(lines: string): string | undefined {
  const all = new Map<string, LeftOut>();
  for (const line of lines.split("\n").filter((text) => text !== "")) {
    const leftOut: LeftOut = JSON.parse(line);
    // Several test files may tell of one absence, each of its own cases.
    const cases = new Set([...all.get(leftOut.component)?.cases ?? [], ...leftOut.cases ?? []]);
    all.set(leftOut.component, { ...leftOut, cases: [...cases] });
  }
  if (all.size === 0) return undefined;
  const frame = "!".repeat(80);
  return [frame, "THIS RUN IS NOT COMPLETE", ...[...all.values()].map(describeLeftOut), frame].join("\n");
}
