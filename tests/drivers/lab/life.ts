/** A permit's way over the lab: what the runner does, without store and events, on a clock that moves by itself. */
import assert from "node:assert/strict";
import type { ApplyContext } from "../../../src/core/driver.ts";
import { Fault } from "../../../src/core/fault.ts";
import type { Observed } from "../../../src/core/observed.ts";
import type { Permit, VolumeRecord } from "../../../src/core/permit.ts";
import type { PhaseSet } from "../../../src/core/phase.ts";
import { plan } from "../../../src/core/plan.ts";
import type { Action, Plan } from "../../../src/core/step.ts";
import { LabCluster } from "../../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../../src/drivers/lab/driver.ts";
import { LabInside } from "../../../src/drivers/lab/inside.ts";
import { LabJudge, type Violation } from "../../../src/drivers/lab/judge.ts";
import { LabOperator } from "../../../src/drivers/lab/operator.ts";
import type { Interfere } from "../../../src/drivers/lab/request.ts";
import { DEFAULT_LAB_SETTINGS, type LabSettings } from "../../../src/drivers/lab/settings.ts";
import { nextStretch } from "../../../src/runner/stretch.ts";
import { SITE } from "../../core/plan_fixture.ts";
import { FakeClock } from "../../fake_clock.ts";

/** Distance between two looks. */
const POLL_MS = 40;
/** A phase is reached within seconds of simulated time; ten minutes without an end is a loop. */
const LIMIT_MS = 600_000;

/** One permit on one lab. */
export interface Life {
  clock: FakeClock;
  cluster: LabCluster;
  operator: LabOperator;
  inside: LabInside;
  driver: LabDriver;
  observe(): Promise<Observed>;
  planFor(permit: Permit): Promise<Plan>;
  /** Plans and applies until nothing differs, or until something keeps the plan from going on; returns that plan. */
  reach(permit: Permit): Promise<Plan>;
  violations(): Violation[];
  close(): Promise<void>;
}

/** An empty lab; `interfere` makes calls fail, as a simulation does. */
export function beginLife(
  phases: PhaseSet,
  { settings = {}, interfere }: { settings?: Partial<LabSettings>; interfere?: Interfere } = {},
): Life {
  const clock = new FakeClock({ auto: true });
  let deleted = false;
  const isSensitive = (volume: string): boolean => phases.volumes.get(volume)?.sensitive === "always";
  const cluster = new LabCluster({ clock, settings: { ...DEFAULT_LAB_SETTINGS, ...settings }, isSensitive });
  const judge = new LabJudge(cluster, { mayDestroy: () => deleted });
  const driver = new LabDriver({ cluster, clock, ...(interfere === undefined ? {} : { interfere }) });
  const records = new Map<string, VolumeRecord>();
  const signal = new AbortController().signal;

  const note = (key: string, change: Partial<VolumeRecord>): void => {
    const known = records.get(key) ?? { key, tainted: false, bound: false, destroyed: false };
    records.set(key, { ...known, ...change, tainted: known.tainted || change.tainted === true });
  };
  const observe = async (permitId: string): Promise<Observed> => {
    const observed = await again(() => driver.observe(permitId, signal));
    for (const { key, state } of observed.volumes) if (state === "bound") note(key, { bound: true });
    return observed;
  };
  const context = (permitId: string): ApplyContext => ({
    permitId,
    signal,
    password: () => Promise.resolve("a password"),
    hostKey: () => Promise.resolve("a key"),
  });
  const proven = new Set<string>();
  const record = (action: Action): void => {
    if (action.kind === "taint-volume") note(action.volume.key, { tainted: true });
    if (
      action.kind === "ensure-volume" && phases.volumes.get(action.volume.id.volume)?.sensitive !== "always"
    ) {
      note(action.volume.key, { tainted: action.volume.sensitive });
    }
    if (action.kind === "destroy-volume") note(action.volume.key, { destroyed: true });
  };
  const planFor = async (permit: Permit): Promise<Plan> => {
    const observed = await observe(permit.permitId);
    return plan({ permit, records: [...records.values()], proven, observed, phases, site: SITE, nowMs: 0 });
  };
  const applyAll = async (made: Plan): Promise<void> => {
    for (const wave of nextStretch(made.steps).waves) {
      for (const { action } of wave) {
        record(action);
        const { evidence } = await driver.apply(action, context(made.permitId));
        if (evidence !== undefined) proven.add(evidence.pod.uid);
      }
    }
  };
  return {
    clock,
    cluster,
    driver,
    operator: new LabOperator(cluster),
    inside: new LabInside(cluster),
    observe: () => observe("permit-001"),
    planFor,
    violations: () => judge.violations(),
    reach: async (permit) => {
      deleted = deleted || permit.deletion !== "none";
      const endMs = clock.now() + LIMIT_MS;
      for (let made = await planFor(permit);; made = await planFor(permit)) {
        const { waves, awaiting } = nextStretch(made.steps);
        if (waves.length === 0 && awaiting.length === 0) return made;
        assert.ok(clock.now() < endMs, `no end for ${permit.status}: ${JSON.stringify(made.steps, null, 1)}`);
        try {
          await applyAll(made);
        } catch (thrown) {
          // Whatever went wrong: observe and plan again, as every attempt does.
          assert.ok(thrown instanceof Fault, `${thrown}`);
        }
        await clock.sleep(POLL_MS);
      }
    },
    close: async () => {
      judge.close();
      await driver.close();
      clock.stop();
    },
  };
}

/** Reads until it succeeds: a failed read changes nothing. */
async function again<T>(read: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (thrown) {
      assert.ok(thrown instanceof Fault, `${thrown}`);
    }
  }
}
