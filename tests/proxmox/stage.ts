/** A double for a unit test: the recorded site on a clock that the test's client moves. */
import { FakeClock } from "../fake_clock.ts";
import { SeededRandom } from "../seeded_random.ts";
import { DoubleClient } from "./client.ts";
import { ProxmoxDouble } from "./double.ts";
import type { GuestFactory } from "./guest/guest.ts";
import type { ApiMethod } from "./schema/schema.ts";
import { RECORDED_TOKENS, recordedSite } from "./recorded_site.ts";
import type { Site } from "./sites.ts";
import type { Timings } from "./state/timings.ts";
import type { Vm } from "./state/vm.ts";
import type { World } from "./state/world.ts";

/** What a test gets. */
export interface UnitStage {
  double: ProxmoxDouble;
  world: World;
  clock: FakeClock;
  /** May do nearly everything, like the recordings' token of that name. */
  broad: DoubleClient;
  root: DoubleClient;
  /** Only what one workspace of pool `wsp` takes. */
  narrow: DoubleClient;
  /** Another token's client. */
  as: (token: string) => DoubleClient;
  /** Linked clones of the template. */
  clone: (...vmids: number[]) => Promise<void>;
  vm: (vmid: number) => Vm;
}

/** How a test's double differs from the recorded site. */
export interface UnitOptions {
  guests?: GuestFactory;
  timings?: Partial<Timings>;
  change?: (site: Site) => void;
}

/** The path of a VM. */
export function qemu(vmid: number, rest = ""): string {
  return `/nodes/pve1/qemu/${vmid}${rest}`;
}

/** Runs a test on a fresh double, and closes that. */
export async function onStage(
  schema: readonly ApiMethod[],
  test: (stage: UnitStage) => Promise<void>,
  { guests, timings, change }: UnitOptions = {},
): Promise<void> {
  const clock = new FakeClock();
  const site = recordedSite();
  change?.(site);
  const double = new ProxmoxDouble({
    clock,
    random: new SeededRandom("unit"),
    site,
    schema,
    ...guests !== undefined && { guests },
    ...timings !== undefined && { timings },
  });
  const as = (token: string): DoubleClient => new DoubleClient(double, clock, token);
  const broad = as(RECORDED_TOKENS.broad);
  const clone = async (...vmids: number[]): Promise<void> => {
    for (const vmid of vmids) {
      await broad.run("POST", qemu(9000, "/clone"), { newid: vmid, full: 0, name: `vm-${vmid}` });
    }
  };
  const vm = (vmid: number): Vm => double.world.vm("pve1", vmid);
  const { world } = double;
  const [root, narrow] = [as(RECORDED_TOKENS.root), as(RECORDED_TOKENS.narrow)];
  await test({ double, world, clock, broad, root, narrow, as, clone, vm });
  await double.close();
}
