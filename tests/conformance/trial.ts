/** One permit on one platform under test: applies, observes, waits, and says clearly what did not come. */
import assert from "node:assert/strict";
import type { ApplyContext, ApplyResult } from "../../src/core/driver.ts";
import { type Disposition, Fault, type Reason } from "../../src/core/fault.ts";
import type { Instance, Observed, ObservedVolume, ObservedWorkspace } from "../../src/core/observed.ts";
import type { Action } from "../../src/core/step.ts";
import type { DesiredVolume } from "../../src/core/volume.ts";
import type { DesiredWorkspace } from "../../src/core/workspace.ts";
import type { Backend } from "./backend.ts";
import { FS_GROUP } from "./fixtures.ts";
import { areCanariesConfirmed, areCanariesFresh, isGated } from "../../src/core/isolation.ts";
import { find, findVolume, stable } from "./observation.ts";

/** What a refused action must say. */
export interface Expected {
  reason: Reason;
  disposition?: Disposition;
}

/** Stands for a sealed host key: whoever stores it stores text; no case lets a server read it. */
const HOST_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90LWEta2V5\n-----END OPENSSH PRIVATE KEY-----\n";

/** Passwords that no other text contains, so that one that leaks is found. */
const PASSWORD_PREFIX = "suite-password-";

/** A controller writes what it saw some moments later: one equal look is not yet rest. */
const SETTLED_LOOKS = 3;

/** What a busy machine takes at most from one call to the next. */
const STEP_MAX_MS = 30_000;

/** Whether they are known to be alive, and will be for the next call, too. */
export function areCanariesLasting(seen: Pick<Observed, "canaries" | "atMs">): boolean {
  return areCanariesFresh({ ...seen, atMs: seen.atMs + STEP_MAX_MS });
}

/** A permit under test. Everything asserted here names the permit, so that a failed case can be looked at. */
export class Trial {
  /** Workspace keys for which the driver asked for a password, with `rotate`, in order. */
  readonly passwordsAsked: { key: string; rotate: boolean }[] = [];
  #passwords = 0;

  constructor(readonly backend: Backend, readonly permitId: string) {}

  /** The context of one action. */
  context(signal: AbortSignal = new AbortController().signal): ApplyContext {
    return {
      permitId: this.permitId,
      signal,
      password: (key, rotate) => {
        this.passwordsAsked.push({ key, rotate });
        if (rotate || this.#passwords === 0) this.#passwords++;
        return Promise.resolve(`${PASSWORD_PREFIX}${this.#passwords}`);
      },
      hostKey: () => Promise.resolve(HOST_KEY),
    };
  }

  /** Observes, and checks that no password shows. */
  async observe(): Promise<Observed> {
    const observed = await this.backend.driver.observe(this.permitId, new AbortController().signal);
    assert.equal(observed.permitId, this.permitId);
    assert.ok(!JSON.stringify(observed).includes(PASSWORD_PREFIX), "an observation holds a password");
    return observed;
  }

  /** Applies an action that must succeed. */
  async apply(action: Action): Promise<ApplyResult> {
    if (action.kind === "consolidate") await this.canaries();
    const result = await this.backend.driver.apply(action, this.context());
    assert.ok(!JSON.stringify(result).includes(PASSWORD_PREFIX), "a result holds a password");
    assert.ok(result.detail.length > 0, `${action.kind} leaves a line for the job's step`);
    return result;
  }

  /** Applies an action made from what is seen now; a conflict is no failure, but is seen and made anew, as a job would. */
  async applyFresh(make: (observed: Observed) => Action): Promise<void> {
    const refusals: string[] = [];
    await this.eventually("an action on a fresh observation", async () => {
      const action = make(await this.observe());
      try {
        await this.apply(action);
        return true;
      } catch (thrown) {
        if (!(thrown instanceof Fault) || thrown.reason !== "conflict") throw thrown;
        refusals.push(thrown.message);
        return false;
      }
    }, () => refusals.join("; "));
  }

  /** An observation that equals the one before it: controllers of the platform have come to rest. */
  async settled(): Promise<Omit<Observed, "atMs" | "canaries">> {
    let last = stable(await this.observe());
    let same = 0;
    await this.eventually("the platform comes to rest", async () => {
      await this.backend.clock.sleep(this.backend.pollMs);
      const before = JSON.stringify(last);
      last = stable(await this.observe());
      same = JSON.stringify(last) === before ? same + 1 : 0;
      return same === SETTLED_LOOKS;
    });
    return last;
  }

  /** Applies an action that must be refused so. */
  async refused(action: Action, expected: Expected): Promise<Fault> {
    try {
      await this.backend.driver.apply(action, this.context());
    } catch (thrown) {
      assert.ok(thrown instanceof Fault, `${action.kind} must refuse with a Fault, not ${thrown}`);
      assert.equal(thrown.reason, expected.reason, `${action.kind}: ${thrown.message}`);
      if (expected.disposition !== undefined) {
        assert.equal(thrown.disposition, expected.disposition, thrown.message);
      }
      return thrown;
    }
    return assert.fail(`${action.kind} must be refused with ${expected.reason}, but was done`);
  }

  /** Applies an action that was done already: it may say done or `conflict`, and nothing differs afterwards. */
  async repeated(action: Action): Promise<void> {
    const before = await this.settled();
    try {
      await this.backend.driver.apply(action, this.context());
    } catch (thrown) {
      assert.ok(thrown instanceof Fault && thrown.reason === "conflict", `${action.kind} again: ${thrown}`);
    }
    assert.deepEqual(stable(await this.observe()), before, `a second ${action.kind} changes something`);
  }

  /** Observes until `holds` is true; fails with `what` and the last observation after the backend's limit. */
  async until(what: string, holds: (observed: Observed) => boolean): Promise<Observed> {
    let last: Observed | null = null;
    await this.eventually(what, async () => {
      last = await this.observe();
      return holds(last);
    }, () => JSON.stringify(last, null, 2));
    return last ?? assert.fail(what);
  }

  /** Asks until the answer is true; for what only the outside can tell. */
  async eventually(
    what: string,
    holds: () => Promise<boolean>,
    seen: () => string = () => "",
  ): Promise<void> {
    const { clock, pollMs, limitMs } = this.backend;
    const endMs = clock.now() + limitMs;
    while (!await holds()) {
      if (clock.now() >= endMs) assert.fail(`${this.permitId}: not within ${limitMs} ms: ${what}. ${seen()}`);
      await clock.sleep(pollMs);
    }
  }

  /** The permit's space, complete. */
  async scope(): Promise<void> {
    const { scope } = await this.observe();
    const seen = scope.state === "absent" ? null : scope.seen;
    await this.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen });
    await this.until("the scope is intact", ({ scope }) => scope.state === "intact");
  }

  /** Volumes, bound. The space must stand. */
  async volumes(...volumes: DesiredVolume[]): Promise<void> {
    const observed = await this.observe();
    for (const volume of volumes) {
      const seen = findVolume(observed, volume.key)?.seen ?? null;
      await this.apply({ kind: "ensure-volume", volume, seen });
    }
    await this.until(
      "the volumes are bound",
      (observed) => volumes.every(({ key }) => findVolume(observed, key)?.state === "bound"),
    );
  }

  /** The canaries are known to be alive, as before each start near sensitive data. */
  async canaries(): Promise<void> {
    if (areCanariesLasting(await this.observe())) return;
    await this.apply({ kind: "ask-canaries", after: [] });
    await this.until("the canaries answer", areCanariesFresh);
  }

  /** Isolation shown for the ready instance of a gated workspace: the canaries are asked once more first. */
  async prove(workspace: DesiredWorkspace, instanceUid: string): Promise<ApplyResult> {
    await this.apply({ kind: "ask-canaries", after: [instanceUid] });
    await this.until("the canaries answer again", (seen) => areCanariesConfirmed(seen, instanceUid));
    return await this.apply({ kind: "prove-isolation", workspace, instanceUid });
  }

  /** Identity and compute, written but not waited for. */
  async write(workspace: DesiredWorkspace): Promise<void> {
    if (isGated(workspace)) await this.canaries();
    await this.apply({ kind: "ensure-identity", workspace, rotate: true });
    await this.applyFresh((observed) => {
      return { kind: "start", workspace, seen: find(observed, workspace.key)?.compute ?? null };
    });
  }

  /** Identity, compute, and a ready instance. */
  async start(workspace: DesiredWorkspace): Promise<Instance> {
    await this.write(workspace);
    return await this.ready(workspace.key);
  }

  /** The ready instance of a workspace, waited for. */
  async ready(key: string): Promise<Instance> {
    const observed = await this.until(`${key} is ready`, (observed) => {
      const instances = find(observed, key)?.instances ?? [];
      return instances.length === 1 && instances.every(({ ready, state }) => ready && state === "running");
    });
    return find(observed, key)?.instances[0] ?? assert.fail(`${key} has no instance`);
  }

  /** Opens the network for the present instance, conditional on what is seen now. */
  async open(workspace: DesiredWorkspace): Promise<void> {
    await this.applyFresh((observed) => {
      const existing = find(observed, workspace.key) ?? assert.fail(`${workspace.key} is not observed`);
      const instanceUid = existing.instances[0]?.uid ?? assert.fail(`${workspace.key} has no instance`);
      return { kind: "open-network", workspace, instanceUid, seen: existing.network.seen };
    });
  }

  /** Stops a workspace and waits until nothing of it runs. */
  async stop(key: string): Promise<ObservedWorkspace> {
    await this.apply({ kind: "stop", workspace: await this.workspace(key) });
    const observed = await this.until(
      `${key} has no instance`,
      (seen) => find(seen, key)?.instances.length === 0,
    );
    return find(observed, key) ?? assert.fail(`${key} is not observed`);
  }

  /** Removes a stopped workspace and waits until nothing of it is listed. */
  async remove(key: string): Promise<void> {
    await this.applyFresh((observed) => {
      const workspace = find(observed, key) ?? assert.fail(`${key} is not observed`);
      return { kind: "remove-workspace", workspace };
    });
    await this.until(`${key} is not listed`, (observed) => find(observed, key) === undefined);
  }

  /** Destroys a volume for good; does not wait for its end. */
  async destroy(key: string): Promise<void> {
    await this.applyFresh((observed) => {
      return { kind: "destroy-volume", volume: findVolume(observed, key) ?? assert.fail(`no volume ${key}`) };
    });
  }

  /** Retains a bound volume. */
  async retain(key: string): Promise<void> {
    await this.apply({ kind: "retain-volume", volume: await this.volume(key) });
    await this.until(`${key} is retained`, (observed) => findVolume(observed, key)?.retained === true);
  }

  /** A workspace that must be there. */
  async workspace(key: string): Promise<ObservedWorkspace> {
    return find(await this.observe(), key) ?? assert.fail(`${key} is not observed`);
  }

  /** A volume that must be there. */
  async volume(key: string): Promise<ObservedVolume> {
    return findVolume(await this.observe(), key) ?? assert.fail(`volume ${key} is not observed`);
  }
}
