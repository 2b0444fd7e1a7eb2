/** Networks: opened for one instance, with the posture's rules and no more. */
import assert from "node:assert/strict";
import type { Posture } from "../../../src/core/phase.ts";
import { networkHash } from "../../../src/core/workspace.ts";
import type { Source, Target } from "../backend.ts";
import type { DriverCase } from "../case.ts";
import { workspace } from "../fixtures.ts";
import { find } from "../observation.ts";
import { packets } from "../packets.ts";

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
  ...(into.includes("holder") ? { needs: "holder" } as const : {}),
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

/** Cases of open-network. */
export const OPEN_CASES: readonly DriverCase[] = [
  ...POSTURE_CASES,
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
    needs: "holder",
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
];
