/** Networks: what opens them beside WPS, what outlives a cut, and what proves that nothing does. */
import assert from "node:assert/strict";
import { areCanariesConfirmed } from "../../../src/core/isolation.ts";
import type { DesiredWorkspace } from "../../../src/core/workspace.ts";
import type { DriverCase } from "../case.ts";
import { mount, volume, workspace } from "../fixtures.ts";
import { find } from "../observation.ts";
import { packets } from "../packets.ts";
import type { Trial } from "../trial.ts";

/** Cases of breaches, open connections and prove-isolation. */
export const BREACH_CASES: readonly DriverCase[] = [
  {
    name: "a foreign policy that allows egress is a breach, named and not touched",
    why: "DESIGN 8: policies add up, so a foreign one counts as open egress",
    run: async (trial) => {
      const { outside } = trial.backend;
      const research = workspace("research/j.virtanen");
      await trial.scope();
      await trial.start(research);
      await outside.addForeignPolicy(trial.permitId, "let-me-out");
      const observed = await trial.until(
        "it is breached",
        (seen) => find(seen, research.key)?.network.state === "breached",
      );
      const network = find(observed, research.key)?.network;
      assert.ok(network?.state === "breached" && network.by.includes("let-me-out"), JSON.stringify(network));
      assert.ok(
        observed.foreign.some(({ object }) => object.includes("let-me-out")),
        "it is listed as foreign",
      );
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      assert.equal((await trial.workspace(research.key)).network.state, "breached", "it still stands");
      await outside.removeForeignPolicy(trial.permitId, "let-me-out");
      await trial.until("it is shut", (seen) => find(seen, research.key)?.network.state === "shut");
    },
  },
  {
    name: "a weakened default-deny is a breach of what runs under it, until it is healed",
    why: "policies add up, so an altered guard opens also what has rules of its own (invariant 1)",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await trial.backend.outside.weakenDefaultDeny(trial.permitId);
      const observed = await trial.until(
        "it is breached",
        (seen) => find(seen, research.key)?.network.state === "breached",
      );
      assert.equal(observed.scope.state, "incomplete");
      await trial.scope();
      await trial.until("it is open as before", (seen) => find(seen, research.key)?.network.state === "open");
      await packets(trial, research.key, [], ["gateway"]);
    },
  },
  {
    name: "a removed default-deny is a breach of the pod that came since another one's was opened",
    why: "rules for one pod hold no other back: without the guard nothing selects it (invariant 1)",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const first = await trial.start(research);
      await trial.open(research);
      await succeeded(trial, research.key, first.uid);
      await trial.backend.outside.removeDefaultDeny(trial.permitId);
      const observed = await trial.until(
        "it is breached",
        (seen) => find(seen, research.key)?.network.state === "breached",
      );
      const network = find(observed, research.key)?.network;
      assert.ok(
        network?.state === "breached" && network.by.includes("default-deny"),
        JSON.stringify(network),
      );
      assert.equal(observed.scope.state, "incomplete");
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      await trial.until(
        "its own policy shuts it",
        (seen) => find(seen, research.key)?.network.state === "shut",
      );
      await packets(trial, research.key, [], []);
      await trial.scope();
      await trial.open(research);
      await packets(trial, research.key, [], ["gateway"]);
    },
  },
  {
    name: "without a default-deny a workspace is what its own policy makes of it",
    why: "what WPS's exact policy selects it denies by itself: nobody is stopped for a guard that is mended",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await trial.backend.outside.removeDefaultDeny(trial.permitId);
      const observed = await trial.until("it is missed", ({ scope }) => scope.state === "incomplete");
      assert.equal(find(observed, research.key)?.network.state, "open");
      await packets(trial, research.key, [], ["gateway"]);
      await trial.scope();
      await packets(trial, research.key, [], ["gateway"]);
    },
  },
  {
    name: "an open connection survives the cut and ends with its pod",
    why: "invariant 2: a network counts as cut only when policy and pod have changed",
    needs: "openConnection",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await packets(trial, research.key, ["proxy"], ["gateway"]);
      const connection = await trial.backend.outside.openConnection?.(trial.permitId, research.key, "proxy");
      try {
        assert.equal(await connection?.alive(), true);
        await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
        await packets(trial, research.key, [], []);
        assert.equal(await connection?.alive(), true, "measured: a new policy does not end it");
        await trial.stop(research.key);
        await trial.eventually("it is dead", async () => await connection?.alive() === false);
      } finally {
        await connection?.close();
      }
    },
  },
  {
    name: "prove-isolation leaves evidence of at most 4096 bytes for a shut network",
    why: "DESIGN 8: no proof of isolation, no data mounted (invariant 6)",
    run: async (trial) => {
      const research = await sensitive(trial);
      const { uid: instanceUid, gated } = await trial.start(research);
      assert.ok(gated, "what stands before its data is seen, not assumed");
      const { evidence } = await trial.prove(research, instanceUid);
      assert.ok(evidence !== undefined);
      assert.ok(new TextEncoder().encode(JSON.stringify(evidence)).length <= 4096);
      assert.deepEqual([evidence.method, evidence.pod.uid], ["gate", instanceUid]);
      assert.ok(evidence.cleanRounds >= 2 && evidence.rounds >= evidence.cleanRounds);
      const failed = new Set(
        evidence.targets.filter(({ outcome }) => outcome !== "reached").map((t) => t.target),
      );
      const { before, after } = evidence.control;
      const proving = (after?.alive ?? []).filter((target) =>
        failed.has(target) && before?.alive.includes(target)
      );
      assert.ok(proving.length >= 2, `live canaries that it failed to reach: ${JSON.stringify(evidence)}`);
    },
  },
  {
    name: "prove-isolation proves nothing of a breached network, and says that it is one",
    why: "invariant 6: fail closed; DESIGN 8: a breach halts the permit, what is only unproven does not",
    run: async (trial) => {
      const research = await sensitive(trial);
      const { uid: instanceUid } = await trial.start(research);
      await trial.apply({ kind: "ask-canaries", after: [instanceUid] });
      await trial.until("the canaries answer", (seen) => areCanariesConfirmed(seen, instanceUid));
      await trial.backend.outside.addForeignPolicy(trial.permitId, "let-me-out");
      await trial.until(
        "it is breached",
        (seen) => find(seen, research.key)?.network.state === "breached",
      );
      await packets(trial, research.key, ["internet", "proxy", "dns"], []);
      await trial.refused({ kind: "prove-isolation", workspace: research, instanceUid }, {
        reason: "isolation-breached",
        disposition: "stalled",
      });
    },
  },
  {
    name: "prove-isolation proves nothing of a pod that no policy selects, whatever its gate saw before",
    why: "invariant 6: a gate speaks for the rules that stood then",
    run: async (trial) => {
      const { outside } = trial.backend;
      const research = await sensitive(trial);
      const first = await trial.start(research);
      await trial.prove(research, first.uid);
      await trial.open(research);
      const instanceUid = await succeeded(trial, research.key, first.uid);
      await trial.apply({ kind: "ask-canaries", after: [instanceUid] });
      await trial.until("the canaries answer", (seen) => areCanariesConfirmed(seen, instanceUid));
      await outside.removeDefaultDeny(trial.permitId);
      await trial.eventually(
        "it gets out",
        () => outside.canReach(trial.permitId, research.key, "internet"),
      );
      await trial.refused({ kind: "prove-isolation", workspace: research, instanceUid }, {
        reason: "isolation-breached",
        disposition: "stalled",
      });
    },
  },
  {
    name: "start near sensitive data is refused while no canaries are known to be alive",
    why: "DESIGN 8: where nobody answers, a leak would not show",
    run: async (trial) => {
      const research = await sensitive(trial);
      await trial.refused({ kind: "start", workspace: research, seen: null }, {
        reason: "canaries-silent",
        disposition: "wait",
      });
      assert.equal(find(await trial.observe(), research.key)?.compute ?? null, null, "nothing was written");
    },
  },
  {
    name: "an instance that comes by itself passes a gate of its own and is proven anew",
    why: "DESIGN 8: a pod uid without stored evidence is proven at once or stopped",
    run: async (trial) => {
      const research = await sensitive(trial);
      const first = await trial.start(research);
      await trial.prove(research, first.uid);
      const instanceUid = await succeeded(trial, research.key, first.uid);
      const [second] = (await trial.workspace(research.key)).instances;
      assert.equal(second?.specHash, first.specHash);
      const { evidence } = await trial.prove(research, instanceUid);
      assert.equal(evidence?.pod.uid, instanceUid);
    },
  },
  {
    name: "prove-isolation proves nothing before the canaries were asked after the gate",
    why: "DESIGN 8: a canary that died before the gate would make any gate pass",
    run: async (trial) => {
      const research = await sensitive(trial);
      const { uid: instanceUid } = await trial.start(research);
      await trial.refused({ kind: "prove-isolation", workspace: research, instanceUid }, {
        reason: "isolation-unproven",
      });
    },
  },
  {
    name: "a probe beside a running workspace shows its isolation and disturbs nothing",
    why: "DESIGN 8: isolation is shown again while it runs",
    run: async (trial) => {
      const research = await sensitive(trial);
      const { uid: instanceUid } = await trial.start(research);
      await trial.prove(research, instanceUid);
      await trial.open(research);
      const before = await trial.settled();
      const probe = await trial.backend.driver.probe(
        { workspaceKey: research.key, instanceUid },
        trial.context(),
      );
      assert.equal(probe.found, "isolated", JSON.stringify(probe));
      assert.deepEqual(await trial.settled(), before);
    },
  },
  {
    name: "a probe finds what a foreign policy lets through",
    why: "policies add up (DESIGN 8): a breach is found by packets",
    run: async (trial) => {
      const research = await sensitive(trial);
      const { uid: instanceUid } = await trial.start(research);
      await trial.backend.outside.addForeignPolicy(trial.permitId, "let-me-out");
      await packets(trial, research.key, ["internet", "proxy", "dns"], []);
      const probe = await trial.backend.driver.probe(
        { workspaceKey: research.key, instanceUid },
        trial.context(),
      );
      assert.equal(probe.found, "breached", JSON.stringify(probe));
    },
  },
  {
    name: "a probe beside an instance that is gone says nothing",
    why: "only what was shown counts (invariant 6)",
    run: async (trial) => {
      const research = await sensitive(trial);
      await trial.start(research);
      const probe = await trial.backend.driver.probe(
        { workspaceKey: research.key, instanceUid: crypto.randomUUID() },
        trial.context(),
      );
      assert.equal(probe.found, "unknown", JSON.stringify(probe));
    },
  },
  {
    name: "prove-isolation proves nothing of an instance that is gone",
    why: "evidence belongs to one instance",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      await trial.start(research);
      await trial.refused(
        { kind: "prove-isolation", workspace: research, instanceUid: crypto.randomUUID() },
        {
          reason: "conflict",
          disposition: "retry",
        },
      );
    },
  },
];

/** A workspace with sensitive data, which passes the gate; its volume is bound. */
async function sensitive(trial: Trial): Promise<DesiredWorkspace> {
  const prepared = volume("prepared", { sensitive: true });
  await trial.scope();
  await trial.volumes(prepared);
  return workspace("research/j.virtanen", { sensitive: true, mounts: [mount("prepared", "ro")] });
}

/** Somebody deletes the only pod of a workspace; the uid of the one that comes by itself, ready. */
async function succeeded(trial: Trial, key: string, uid: string): Promise<string> {
  const [first] = (await trial.workspace(key)).instances;
  await trial.backend.outside.deletePod(trial.permitId, first?.name ?? assert.fail("no instance"));
  const observed = await trial.until("another is ready", (seen) => {
    const [instance] = find(seen, key)?.instances ?? [];
    return instance !== undefined && instance.uid !== uid && instance.ready;
  });
  return find(observed, key)?.instances[0]?.uid ?? assert.fail("no instance");
}
