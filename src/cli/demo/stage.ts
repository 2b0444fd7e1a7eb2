/** What the demo plays on: the real service, on a simulated cluster, in folders of its own. */
import { type App, startApp } from "../../app.ts";
import { type Config, configSchema } from "../../config/schema.ts";
import type { Driver } from "../../core/driver.ts";
import { LabCluster } from "../../drivers/lab/cluster.ts";
import { LabDriver } from "../../drivers/lab/driver.ts";
import { LabInside } from "../../drivers/lab/inside.ts";
import { LabJudge } from "../../drivers/lab/judge.ts";
import type { Log } from "../../log.ts";
import { MACHINE_CLOCK } from "../../machine.ts";
import { problemLine } from "../../config/problem.ts";
import { CliError, EXIT } from "../exit.ts";
import { readPhases } from "../setup.ts";
import { Gate } from "./gate.ts";
import { PERMIT_ID } from "./people.ts";
import { UID_RANGE } from "./verify.ts";

/** A running stage. */
export interface Stage {
  app: App;
  /** Holds the service's hands while its plan is shown. */
  gate: Gate;
  cluster: LabCluster;
  inside: LabInside;
  judge: LabJudge;
  /** From now on data may be destroyed without breaking invariant 4. */
  allowDestruction(): void;
  /** Stops the service and removes its folders. */
  close(): Promise<void>;
}

/** Everything a person watches should be seen, and nothing should be waited for. */
const DELAYS = {
  bind: "40ms",
  start: "60ms",
  ready: "60ms",
  stop: "80ms",
  task: "150ms",
  reclaim: "40ms",
  namespace: "40ms",
} as const;

/** How a stage may differ from the usual one. */
export interface StageOptions {
  /** Put between service and cluster: a test plants a defect there. */
  change?: (driver: Driver) => Driver;
  /** Where its folder is made, instead of the system's place for such. */
  below?: string;
}

/** Starts it. */
export async function openStage(log: Log, { change = same, below }: StageOptions): Promise<Stage> {
  const directory = await Deno.makeTempDir({ dir: below, prefix: "wps-demo-" });
  const removeFolders = (): Promise<void> => Deno.remove(directory, { recursive: true });
  let destroys = false;
  try {
    const config = demoConfig(directory);
    await Deno.mkdir(config.keys.directory, { mode: 0o700 });
    const { phases, problems } = await readPhases(null);
    if (phases === null) {
      throw new CliError(EXIT.failed, "Cannot play: the built-in phases are damaged", {
        details: problems.map(problemLine),
        advice: ["Install wps again"],
      });
    }
    const settings = config.drivers.lab;
    if (settings === null) throw new TypeError("The demo's configuration has the lab driver");
    const isSensitive = (volume: string): boolean => phases.volumes.get(volume)?.sensitive === "always";
    const cluster = new LabCluster({ clock: MACHINE_CLOCK, settings, isSensitive });
    const judge = new LabJudge(cluster, { mayDestroy: (permitId) => destroys && permitId === PERMIT_ID });
    const gate = new Gate(change(new LabDriver({ cluster, clock: MACHINE_CLOCK })));
    const app = await startApp({ config, phases, log, driver: gate });
    return {
      app,
      gate,
      cluster,
      inside: new LabInside(cluster),
      judge,
      allowDestruction: () => {
        destroys = true;
      },
      async close(): Promise<void> {
        gate.open();
        judge.close();
        await app.stop();
        await removeFolders();
      },
    };
  } catch (thrown) {
    await removeFolders();
    throw thrown;
  }
}

function same(driver: Driver): Driver {
  return driver;
}

function demoConfig(directory: string): Config {
  const parsed = configSchema.safeParse({
    state: { directory: `${directory}/state` },
    keys: { directory: `${directory}/keys` },
    listen: { socket: `${directory}/wps.sock` },
    drivers: { lab: { delays: DELAYS } },
    accounts: { uidRange: `${UID_RANGE.min}-${UID_RANGE.max}` },
    tiers: {
      standard: { cpu: 2, memory: "4Gi", uploads: "10Gi", raw: "20Gi", prepared: "20Gi", outputs: "5Gi" },
    },
    runner: { reread: "1s" },
  });
  if (parsed.success) return parsed.data;
  // Only the folder can be at fault: all else is constant, and tested.
  throw new CliError(EXIT.failed, `Cannot play in ${directory}: ${parsed.error.issues[0]?.message}`, {
    advice: ["Set TMPDIR to a folder with a short path, such as /tmp"],
  });
}
