/** Workspaces: identity, start, what is seen of them, what their insides are. */
import assert from "node:assert/strict";
import { identityHash, specHash } from "../../../src/core/workspace.ts";
import type { DriverCase } from "../case.ts";
import { MEMBER_ID, mount, volume, workspace } from "../fixtures.ts";
import { find } from "../observation.ts";

/** Cases of ensure-identity and start. */
export const WORKSPACE_CASES: readonly DriverCase[] = [
  {
    name: "ensure-identity is read back, gives the endpoint, and may be repeated",
    why: "identity comes before compute (invariant 2); /connection answers from it",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.apply({ kind: "ensure-identity", workspace: research, rotate: true });
      const observed = await trial.workspace(research.key);
      assert.equal(observed.identityHash, identityHash(research));
      assert.equal(observed.power, null, "no compute came with it");
      assert.equal(observed.endpoint?.protocol, "rdp");
      assert.equal(observed.endpoint?.port, 3389);
      assert.ok((observed.endpoint?.host ?? "").length > 0);
      assert.deepEqual(trial.passwordsAsked, [{ key: research.key, rotate: true }]);
      await trial.repeated({ kind: "ensure-identity", workspace: research, rotate: false });
    },
  },
  {
    name: "ensure-identity writes over exactly what was seen, or where nothing was",
    why: "invariant 9: a late writer brings back no password or key that was taken away",
    run: async (trial) => {
      await trial.scope();
      const airlock = workspace("airlock/hospital-a", { sshPublicKeys: ["ssh-ed25519 AAAA first"] });
      const write = { kind: "ensure-identity", workspace: airlock, rotate: false } as const;
      await trial.apply({ ...write, seen: null });
      const first = (await trial.workspace(airlock.key)).identity ?? assert.fail("its Secret is seen");
      await trial.refused({ ...write, seen: null }, { reason: "conflict", disposition: "retry" });
      const without = { ...airlock, sshPublicKeys: [] };
      await trial.apply({ kind: "ensure-identity", workspace: without, rotate: false, seen: first });
      await trial.refused({ ...write, seen: first }, { reason: "conflict", disposition: "retry" });
      const observed = await trial.workspace(airlock.key);
      assert.equal(observed.identityHash, identityHash(without), "the key that was taken away stays away");
    },
  },
  {
    name: "a changed key changes the identity and restarts nobody",
    why: "keys live in the mounted Secret (DESIGN 8: adding a person restarts nobody)",
    run: async (trial) => {
      await trial.scope();
      const airlock = workspace("airlock/hospital-a", { sshPublicKeys: ["ssh-ed25519 AAAA first"] });
      const instance = await trial.start(airlock);
      const changed = { ...airlock, sshPublicKeys: ["ssh-ed25519 AAAA first", "ssh-ed25519 AAAB second"] };
      await trial.apply({ kind: "ensure-identity", workspace: changed, rotate: false });
      const observed = await trial.workspace(airlock.key);
      assert.notEqual(identityHash(airlock), identityHash(changed));
      assert.equal(observed.identityHash, identityHash(changed));
      assert.deepEqual(observed.instances.map(({ uid }) => uid), [instance.uid]);
    },
  },
  {
    name: "start makes one instance that becomes ready, with what was desired read back",
    why: "an empty plan when nothing differs needs hashes and mounts from live fields",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("project"), volume("home/j.virtanen"));
      const mounts = [mount("home/j.virtanen", "rw", "/home/j.virtanen"), mount("project", "ro", "/project")];
      const research = workspace("research/j.virtanen", { mounts });
      const instance = await trial.start(research);
      const observed = await trial.workspace(research.key);
      const { identity, ...rest } = observed;
      assert.deepEqual({ ...rest, network: null, endpoint: null, compute: null, instances: [] }, {
        key: research.key,
        kind: "research",
        owner: "j.virtanen",
        power: "running",
        specHash: specHash(research),
        outdated: false,
        tier: research.tier,
        identityHash: identityHash(research),
        network: null,
        instances: [],
        endpoint: null,
        compute: null,
        terminating: null,
        unsettled: null,
      });
      assert.ok(observed.compute !== null && identity != null);
      assert.equal(observed.network.state, "shut", "nothing opens a network but open-network");
      assert.equal(instance.specHash, specHash(research));
      assert.equal(instance.reason, null);
      const byPath = (a: { path: string }, b: { path: string }): number => a.path < b.path ? -1 : 1;
      assert.deepEqual([...instance.mounts].sort(byPath), [...mounts].sort(byPath));
      assert.ok(instance.node !== null);
    },
  },
  {
    name: "an airlock's write-only mount is read back as the same spec",
    why: "`wo` is rw to the kernel; the hash must not differ for ever",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("uploads/hospital-a"));
      const airlock = workspace("airlock/hospital-a", {
        mounts: [mount("uploads/hospital-a", "wo", "/uploads/hospital-a")],
      });
      const instance = await trial.start(airlock);
      assert.equal(instance.specHash, specHash(airlock));
      assert.equal((await trial.workspace(airlock.key)).specHash, specHash(airlock));
    },
  },
  {
    name: "an instance waits for its volumes, with a reason, and becomes ready when they are bound",
    why: "storage before compute holds on the platform too; each wait names what it waits for",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen", { mounts: [mount("project", "rw")] });
      await trial.write(research);
      const observed = await trial.until("it waits with a reason", (seen) => {
        const [instance] = find(seen, research.key)?.instances ?? [];
        return instance?.state === "pending" && !instance.ready && instance.reason !== null;
      });
      assert.equal(find(observed, research.key)?.instances.length, 1);
      await trial.apply({ kind: "ensure-volume", volume: volume("project"), seen: null });
      await trial.ready(research.key);
    },
  },
  {
    name: "a workspace whose image cannot be had never gets ready and says why",
    why: "a never-ready pod becomes a named wait, then a failure that says what to do",
    run: async (trial) => {
      await trial.scope();
      await trial.write(workspace("broken/j.virtanen"));
      const observed = await trial.until("it says why", (seen) => {
        const [instance] = find(seen, "broken/j.virtanen")?.instances ?? [];
        // The pod's first words may be an event's; its own code follows.
        return /image/i.test(instance?.reason ?? "") && instance?.trouble === "image-unavailable";
      });
      const [instance] = find(observed, "broken/j.virtanen")?.instances ?? [];
      assert.equal(instance?.ready, false);
    },
  },
  {
    name: "start with what was seen before somebody's write is refused",
    why: "invariant 9: a write that mounts data carries the version that this attempt observed",
    run: async (trial) => {
      await trial.scope();
      await trial.volumes(volume("prepared", { sensitive: true }));
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      const { compute: late } = await trial.workspace(research.key);
      await trial.stop(research.key);
      const withData = { ...research, mounts: [mount("prepared", "ro")] };
      await trial.refused({ kind: "start", workspace: withData, seen: late }, {
        reason: "conflict",
        disposition: "retry",
      });
      const observed = await trial.workspace(research.key);
      assert.equal(observed.power, "stopped");
      assert.equal(observed.specHash, specHash(research));
      assert.deepEqual(observed.instances, []);
    },
  },
  {
    name: "start that saw nothing is refused where something stands",
    why: "invariant 9: an absent object is an observation too",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      await trial.stop(research.key);
      await trial.refused({ kind: "start", workspace: research, seen: null }, {
        reason: "conflict",
        disposition: "retry",
      });
      assert.equal((await trial.workspace(research.key)).power, "stopped");
    },
  },
  {
    name: "start that saw an object which is gone is refused",
    why: "invariant 9: removal must not be undone by a late writer",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      const stopped = await trial.stop(research.key);
      await trial.remove(research.key);
      await trial.refused({ kind: "start", workspace: research, seen: stopped.compute }, {
        reason: "conflict",
        disposition: "retry",
      });
      const left = find(await trial.observe(), research.key);
      assert.equal(left?.compute ?? null, null, "no compute came back");
    },
  },
  {
    name: "start again with the same spec changes nothing",
    why: "a crash after the write repeats the step; the pod must not be replaced",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      const { compute } = await trial.workspace(research.key);
      await trial.repeated({ kind: "start", workspace: research, seen: compute });
    },
  },
  {
    name: "an instance that somebody deleted comes back as another instance",
    why: "DESIGN 8: a pod uid without stored evidence is proven at once or stopped, so uids must differ",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      const first = await trial.start(research);
      await trial.backend.outside.deletePod(trial.permitId, first.name);
      await trial.until("another is ready", (seen) => {
        const instances = find(seen, research.key)?.instances ?? [];
        return instances.length === 1 && instances.every(({ uid, ready }) => uid !== first.uid && ready);
      });
      const second = await trial.ready(research.key);
      assert.equal(second.specHash, first.specHash);
    },
  },
  {
    name: "the account inside is the member's own",
    why: "DESIGN 4: runs as that uid and gid, and whoami names the person",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      await trial.start(research);
      assert.deepEqual(await trial.backend.outside.whoami(trial.permitId, research.key), {
        username: "j.virtanen",
        uid: MEMBER_ID,
        gid: MEMBER_ID,
      });
    },
  },
  {
    name: "a read-only mount refuses writes, a read-write one takes them",
    why: "DESIGN 4: the modes of a phase are facts in the kernel",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      await trial.volumes(volume("prepared", { sensitive: true }), volume("outputs", { sensitive: true }));
      const research = workspace("research/j.virtanen", {
        mounts: [mount("prepared", "ro"), mount("outputs", "rw")],
        sensitive: true,
      });
      await trial.start(research);
      assert.equal(await outside.tryWrite(trial.permitId, research.key, "/data/prepared/x"), false);
      assert.equal(await outside.tryWrite(trial.permitId, research.key, "/data/outputs/x"), true);
      assert.deepEqual(await outside.listFiles(trial.permitId, "outputs"), ["x"]);
      assert.deepEqual(await outside.listFiles(trial.permitId, "prepared"), []);
    },
  },
  {
    name: "two workspaces share a ReadWriteMany volume",
    why: "DESIGN 8: project, raw, prepared and outputs are one per permit",
    needs: "files",
    run: async (trial) => {
      const { outside } = trial.backend;
      await trial.scope();
      await trial.volumes(volume("project"));
      const mounts = [mount("project", "rw")];
      const one = workspace("research/j.virtanen", { mounts });
      const other = workspace("research/l.moreau", {
        mounts,
        account: { username: "l.moreau", uid: MEMBER_ID + 1, gid: MEMBER_ID + 1 },
      });
      await trial.start(one);
      await trial.start(other);
      assert.equal(await outside.tryWrite(trial.permitId, one.key, "/data/project/one"), true);
      assert.equal(await outside.tryWrite(trial.permitId, other.key, "/data/project/other"), true);
      assert.deepEqual(await outside.listFiles(trial.permitId, "project"), ["one", "other"]);
    },
  },
  {
    name:
      "a second pod that somebody asks for is a difference, is told of as another instance, and goes with a stop",
    why: "it sees the data, and nobody gave it to anybody: WPS's workspaces are of one pod (DESIGN 8)",
    run: async (trial) => {
      await trial.scope();
      const research = workspace("research/j.virtanen");
      const first = await trial.start(research);
      await trial.open(research);
      await trial.backend.outside.scale(trial.permitId, research.key, 2);
      const observed = await trial.until(
        "both pods are there",
        (seen) => find(seen, research.key)?.instances.filter(({ ready }) => ready).length === 2,
      );
      const scaled = find(observed, research.key) ?? assert.fail();
      assert.equal(scaled.specHash, "altered: 2 replicas");
      assert.equal(scaled.power, "running");
      assert.ok(scaled.network.state === "open" && scaled.network.openedFor === first.uid, "for one alone");
      assert.ok(scaled.instances.every(({ specHash }) => specHash === first.specHash));
      await trial.apply({ kind: "cut-network", workspace: scaled });
      await trial.stop(research.key);
      await trial.start(research);
      assert.equal((await trial.workspace(research.key)).specHash, first.specHash);
    },
  },
];
