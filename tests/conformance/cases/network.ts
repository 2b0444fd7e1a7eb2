/** Networks: shut by default, opened for one instance, cut for good. Judged by packets, not by what is written. */
import assert from "node:assert/strict";
import type { Posture } from "../../../src/core/phase.ts";
import { networkHash } from "../../../src/core/workspace.ts";
import type { Source, Target } from "../backend.ts";
import type { DriverCase } from "../case.ts";
import { neverSeen, workspace } from "../fixtures.ts";
import { find, type Trial } from "../trial.ts";

const TARGETS: readonly Target[] = ["internet", "proxy", "dns"];
const SOURCES: readonly Source[] = ["gateway", "stranger", "holder"];

/** Waits until packets get exactly where they may, because enforcement may lag behind the acknowledgement. */
async function packets(trial: Trial, key: string, out: Target[], into: Source[]): Promise<void> {
  const { outside } = trial.backend;
  let seen = "";
  await trial.eventually(`${key} reaches [${out}] and is reached from [${into}]`, async () => {
    const reached: Target[] = [];
    for (const target of TARGETS) {
      if (await outside.canReach(trial.permitId, key, target)) reached.push(target);
    }
    const from: Source[] = [];
    for (const source of SOURCES) {
      if (await outside.reachableFrom(trial.permitId, key, source)) from.push(source);
    }
    seen = `it reaches [${reached}] and is reached from [${from}]`;
    return `${reached}` === `${out}` && `${from}` === `${into}`;
  }, () => seen);
}

/** One posture, what may leave and who may come in once it is open. */
const POSTURES: { posture: Posture; kind: string; out: Target[]; into: Source[] }[] = [
  { posture: "isolated", kind: "research", out: [], into: ["gateway"] },
  { posture: "proxied", kind: "research", out: ["proxy"], into: ["gateway"] },
  { posture: "open", kind: "research", out: ["internet", "proxy", "dns"], into: ["gateway"] },
  { posture: "inbound-allowlist", kind: "airlock", out: [], into: ["holder"] },
];

const POSTURE_CASES: readonly DriverCase[] = POSTURES.map(({ posture, kind, out, into }) => ({
  name: `open-network with ${posture} lets pass [${out}] out and [${into}] in, and is read back`,
  why: "DESIGN 4: the postures, and networkHash for rules that changed",
  run: async (trial) => {
    const allowedCidrs = posture === "inbound-allowlist" ? [trial.backend.holderCidr] : [];
    const desired = workspace(`${kind}/j.virtanen`, { posture, allowedCidrs });
    await trial.scope();
    const instance = await trial.start(desired);
    await packets(trial, desired.key, [], []);
    await trial.open(desired);
    const { network } = await trial.workspace(desired.key);
    assert.ok(network.state === "open" && network.seen !== null);
    assert.deepEqual([network.posture, network.hash, network.openedFor], [
      posture,
      networkHash(desired),
      instance.uid,
    ]);
    await packets(trial, desired.key, out, into);
  },
}));

const CUT_CASES: readonly DriverCase[] = [
  {
    name: "cut-network shuts an open network both ways and is safe to repeat",
    why: "invariant 2: cut comes first, and a crash repeats it",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await packets(trial, research.key, ["proxy"], ["gateway"]);
      const open = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: open });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
      await packets(trial, research.key, [], []);
      await trial.apply({ kind: "cut-network", workspace: open });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "cut-network works although the rules' version moved",
    why: "a cut must not fail because something else changed",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      const late = await trial.workspace(research.key);
      await trial.backend.outside.touch(trial.permitId, { kind: "network", key: research.key });
      await trial.apply({ kind: "cut-network", workspace: late });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "cut-network of a workspace that is not there does not fail",
    why: "halt and deletion cut first, from any state",
    run: async (trial) => {
      await trial.scope();
      await trial.apply({ kind: "cut-network", workspace: neverSeen("research/j.virtanen") });
      const left = find(await trial.observe(), "research/j.virtanen");
      assert.equal(left?.network.state ?? "shut", "shut");
    },
  },
  {
    name: "cut-network without a scope does not fail and makes none",
    why: "halt and deletion cut first, from any state",
    run: async (trial) => {
      await trial.apply({ kind: "cut-network", workspace: neverSeen("research/j.virtanen") });
      assert.equal((await trial.observe()).scope.state, "absent");
    },
  },
  {
    name: "a late open cannot undo a cut of an open network",
    why: "invariant 9: a late writer cannot undo a cut",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      await trial.open(research);
      const { network } = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      await trial.refused({ kind: "open-network", workspace: research, instanceUid, seen: network.seen }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
      await packets(trial, research.key, [], []);
    },
  },
  {
    name: "a late open cannot undo a cut of a network that was shut already",
    why:
      "invariant 9: a cut moves the version even where it finds nothing to shut, or halt could be overtaken",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      const never = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: never });
      const refusal = { reason: "conflict", disposition: "retry" } as const;
      const open = { kind: "open-network", workspace: research, instanceUid } as const;
      await trial.refused({ ...open, seen: never.network.seen }, refusal);
      const cut = await trial.workspace(research.key);
      await trial.apply({ kind: "cut-network", workspace: cut });
      await trial.refused({ ...open, seen: cut.network.seen }, refusal);
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
    },
  },
  {
    name: "a network opens again after a cut, with what was seen since",
    why: "a cut is not the end of a workspace",
    run: async (trial) => {
      const research = workspace("research/j.virtanen", { posture: "proxied" });
      await trial.scope();
      await trial.start(research);
      await trial.open(research);
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(research.key) });
      await trial.open(research);
      await packets(trial, research.key, ["proxy"], ["gateway"]);
    },
  },
];

const OPEN_CASES: readonly DriverCase[] = [
  {
    name: "open-network that saw nothing is refused where rules stand",
    why: "invariant 9: an absent object is an observation too",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      await trial.open(research);
      const wider = { ...research, posture: "open" } as const;
      await trial.refused({ kind: "open-network", workspace: wider, instanceUid, seen: null }, {
        reason: "conflict",
        disposition: "retry",
      });
      await packets(trial, research.key, [], ["gateway"]);
    },
  },
  {
    name: "open-network for an instance that is gone is refused",
    why: "rules are for exactly the instance that was proven",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      await trial.start(research);
      const { network } = await trial.workspace(research.key);
      await trial.refused(
        { kind: "open-network", workspace: research, instanceUid: crypto.randomUUID(), seen: network.seen },
        { reason: "conflict", disposition: "retry" },
      );
      assert.equal((await trial.workspace(research.key)).network.state, "shut");
      await packets(trial, research.key, [], []);
    },
  },
  {
    name: "open-network again changes nothing",
    why: "a crash after the write repeats the step",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      await trial.open(research);
      const { network } = await trial.workspace(research.key);
      await trial.repeated({ kind: "open-network", workspace: research, instanceUid, seen: network.seen });
    },
  },
  {
    name: "changed rules are opened anew and restart nobody",
    why: "networkHash: a holder's new address takes effect at once",
    run: async (trial) => {
      const airlock = workspace("airlock/hospital-a", { allowedCidrs: ["198.51.100.7/32"] });
      await trial.scope();
      const instance = await trial.start(airlock);
      await trial.open(airlock);
      await packets(trial, airlock.key, [], []);
      const moved = { ...airlock, allowedCidrs: [trial.backend.holderCidr] };
      await trial.open(moved);
      const { network, instances } = await trial.workspace(airlock.key);
      assert.equal(network.state === "open" ? network.hash : null, networkHash(moved));
      assert.deepEqual(instances.map(({ uid }) => uid), [instance.uid]);
      await packets(trial, airlock.key, [], ["holder"]);
    },
  },
  {
    name: "an opening is for one instance: another that has come stays shut, and openedFor tells",
    why:
      "DESIGN 8: a pod uid without stored evidence is proven at once or stopped; until then nobody gets in",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const first = await trial.start(research);
      await trial.open(research);
      await trial.backend.outside.deletePod(trial.permitId, first.name);
      const observed = await trial.until("another is ready", (seen) => {
        const [instance] = find(seen, research.key)?.instances ?? [];
        return instance !== undefined && instance.uid !== first.uid && instance.ready;
      });
      const network = find(observed, research.key)?.network;
      assert.equal(network?.state === "open" ? network.openedFor : null, first.uid);
      await packets(trial, research.key, [], []);
    },
  },
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
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      const { evidence } = await trial.apply({ kind: "prove-isolation", workspace: research, instanceUid });
      assert.ok(evidence !== undefined);
      assert.ok(new TextEncoder().encode(JSON.stringify(evidence)).length <= 4096);
    },
  },
  {
    name: "prove-isolation proves nothing of a breached network",
    why: "invariant 6: fail closed",
    run: async (trial) => {
      const research = workspace("research/j.virtanen");
      await trial.scope();
      const { uid: instanceUid } = await trial.start(research);
      await trial.backend.outside.addForeignPolicy(trial.permitId, "let-me-out");
      await trial.until(
        "it is breached",
        (seen) => find(seen, research.key)?.network.state === "breached",
      );
      await packets(trial, research.key, ["internet", "proxy", "dns"], []);
      await trial.refused({ kind: "prove-isolation", workspace: research, instanceUid }, {
        reason: "isolation-unproven",
      });
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

/** Cases of cut-network, open-network and prove-isolation. */
export const NETWORK_CASES: readonly DriverCase[] = [...POSTURE_CASES, ...CUT_CASES, ...OPEN_CASES];
