/** The judge finds each planted violation, and nothing in a correct order. */
import assert from "node:assert/strict";
import { LabInside } from "../../../src/drivers/lab/inside.ts";
import { LabJudge, type Violation } from "../../../src/drivers/lab/judge.ts";
import { LabOperator } from "../../../src/drivers/lab/operator.ts";
import { snapshotOf } from "../../../src/drivers/lab/snapshot.ts";
import { sha256Hex } from "../../../src/core/sha256.ts";
import { consolidation, mount, volume, workspace } from "../../conformance/fixtures.ts";
import { findTask } from "../../conformance/observation.ts";
import { Trial } from "../../conformance/trial.ts";
import { labBackend } from "./backend.ts";

interface Planted {
  name: string;
  why: string;
  /** The invariants that must be found violated, each once or more. */
  expected: Violation["invariant"][];
  plant(trial: Trial, operator: LabOperator, inside: LabInside): Promise<void>;
}

const PREPARED = volume("prepared", { sensitive: true });
const PROJECT = volume("project");

const LINK = { text: "", uid: 21001, gid: 21001, mode: 0o777, link: "/etc/passwd" };

/** Uploads that were consolidated; with `accepted` they hold a link already. */
async function copiedWithout(trial: Trial, inside: LabInside, accepted: string | null): Promise<void> {
  await trial.volumes(volume("uploads/hospital-a", { sensitive: true }), volume("raw", { sensitive: true }));
  if (accepted !== null) inside.writeFile(trial.permitId, "uploads/hospital-a", "link", LINK);
  const work = consolidation("hospital-a", 1, { accepted });
  await trial.apply({ kind: "consolidate", consolidation: work, task: null });
  await trial.until("it succeeded", (seen) => findTask(seen, work.fromKey)?.state === "succeeded");
}

const CASES: Planted[] = [
  {
    name: "data in a shut, proven, opened workspace is no violation",
    why: "the order of invariant 2",
    expected: [],
    plant: async (trial) => {
      await trial.volumes(PREPARED, { ...PROJECT, sensitive: true });
      const research = workspace("research/a", {
        mounts: [mount("prepared", "ro"), mount("project", "rw")],
        sensitive: true,
      });
      const { uid: instanceUid } = await trial.start(research);
      await trial.prove(research, instanceUid);
      await trial.open(research);
    },
  },
  {
    name: "an airlock with its own uploads and inbound from its holder is no violation",
    why: "DESIGN 4: the one exception",
    expected: [],
    plant: async (trial) => {
      await trial.volumes(volume("uploads/hospital-a", { sensitive: true }));
      const airlock = workspace("airlock/hospital-a", {
        mounts: [mount("uploads/hospital-a", "wo")],
        allowedCidrs: ["203.0.113.7/32"],
        sensitive: true,
      });
      const { uid } = await trial.start(airlock);
      await trial.prove(airlock, uid);
      await trial.open(airlock);
    },
  },
  {
    name: "an airlock with another holder's uploads",
    why: "the exception is for its own holder's only",
    expected: [1],
    plant: async (trial) => {
      await trial.volumes(volume("uploads/hospital-b", { sensitive: true }));
      const airlock = workspace("airlock/hospital-a", {
        mounts: [mount("uploads/hospital-b", "wo")],
        allowedCidrs: ["203.0.113.7/32"],
        sensitive: true,
      });
      const { uid } = await trial.start(airlock);
      await trial.prove(airlock, uid);
      await trial.open(airlock);
    },
  },
  {
    name: "a proxied workspace with data",
    why: "invariant 1",
    expected: [1],
    plant: async (trial) => {
      await trial.volumes(PREPARED);
      const research = workspace("research/a", {
        posture: "proxied",
        mounts: [mount("prepared", "ro")],
        sensitive: true,
      });
      const { uid } = await trial.start(research);
      await trial.prove(research, uid);
      await trial.open(research);
    },
  },
  {
    name: "data that is what a shut network keeps, and somebody's policy opens it",
    why: "policies add up (DESIGN 8)",
    expected: [1],
    plant: async (trial, operator) => {
      await trial.volumes(PREPARED);
      await trial.start(workspace("research/a", { mounts: [mount("prepared", "ro")], sensitive: true }));
      operator.addForeignPolicy(trial.permitId, "let-me-out");
      await trial.backend.clock.sleep(100);
    },
  },
  {
    name: "data beside a workspace whose network was cut a moment ago, on a shared volume",
    why: "an open connection survives a new policy, so the pod must be gone (invariant 2)",
    expected: [1, 2],
    plant: async (trial) => {
      await trial.volumes(PREPARED, PROJECT);
      const open = workspace("research/a", {
        posture: "proxied",
        mounts: [mount("project", "rw")],
        sensitive: true,
      });
      const { uid } = await trial.start(open);
      await trial.prove(open, uid);
      await trial.open(open);
      await trial.backend.clock.sleep(100);
      await trial.apply({ kind: "cut-network", workspace: await trial.workspace(open.key) });
      await trial.backend.clock.sleep(100);
      await trial.apply({
        kind: "taint-volume",
        volume: { ...PROJECT, sensitive: true },
        seen: (await trial.volume("project")).seen,
      });
      await trial.start(
        workspace("research/b", {
          mounts: [mount("prepared", "ro"), mount("project", "rw")],
          sensitive: true,
        }),
      );
    },
  },
  {
    name: "a volume written beside data without its mark",
    why: "invariant 3",
    expected: [3],
    plant: async (trial) => {
      await trial.volumes(PREPARED, PROJECT);
      await trial.start(
        workspace("research/a", {
          mounts: [mount("prepared", "ro"), mount("project", "rw")],
          sensitive: true,
        }),
      );
    },
  },
  {
    name: "a once tainted volume in a workspace with a way out",
    why: "invariant 3: it stays sensitive, whatever the mark says",
    expected: [1, 3],
    plant: async (trial) => {
      await trial.volumes(PREPARED, PROJECT);
      const research = workspace("research/a", {
        mounts: [mount("prepared", "ro"), mount("project", "rw")],
        sensitive: true,
      });
      await trial.start(research);
      await trial.stop(research.key);
      const back = workspace("research/a", {
        posture: "proxied",
        mounts: [mount("project", "rw")],
        sensitive: true,
      });
      const { uid } = await trial.start(back);
      await trial.prove(back, uid);
      await trial.open(back);
    },
  },
  {
    name: "prepared data destroyed while its permit stands",
    why: "invariant 4",
    expected: [4],
    plant: async (trial) => {
      await trial.volumes(PREPARED);
      await trial.destroy("prepared");
    },
  },
  {
    name: "uploads destroyed before anything was copied",
    why: "invariant 4",
    expected: [4],
    plant: async (trial, _operator, inside) => {
      await trial.volumes(volume("uploads/hospital-a", { sensitive: true }));
      inside.writeFile(trial.permitId, "uploads/hospital-a", "cohort.csv", {
        text: "1",
        uid: 21001,
        gid: 21001,
        mode: 0o640,
      });
      await trial.destroy("uploads/hospital-a");
    },
  },
  {
    name: "uploads destroyed after their consolidation is no violation",
    why: "invariant 4: the uploads alone go earlier",
    expected: [],
    plant: async (trial, _operator, inside) => {
      await trial.volumes(
        volume("uploads/hospital-a", { sensitive: true }),
        volume("raw", { sensitive: true }),
      );
      inside.writeFile(trial.permitId, "uploads/hospital-a", "cohort.csv", {
        text: "1",
        uid: 21001,
        gid: 21001,
        mode: 0o640,
      });
      const work = consolidation("hospital-a");
      await trial.apply({ kind: "consolidate", consolidation: work, task: null });
      await trial.until("it succeeded", (seen) => findTask(seen, work.fromKey)?.state === "succeeded");
      await trial.destroy("uploads/hospital-a");
    },
  },
  {
    name: "uploads destroyed with a link that no manifest names",
    why: "invariant 4: it came after the copy, and nobody agreed to lose it",
    expected: [4],
    plant: async (trial, _operator, inside) => {
      await copiedWithout(trial, inside, null);
      inside.writeFile(trial.permitId, "uploads/hospital-a", "link", LINK);
      await trial.destroy("uploads/hospital-a");
    },
  },
  {
    name: "uploads destroyed with a link that was left out by an accepted list is no violation",
    why: "DESIGN 4: the manifest names what was left out",
    expected: [],
    plant: async (trial, _operator, inside) => {
      await copiedWithout(trial, inside, sha256Hex("link ./link -> /etc/passwd\n"));
      await trial.destroy("uploads/hospital-a");
    },
  },
  {
    name: "a volume lost by an operator's hand is not WPS's violation",
    why: "the planner stalls; it did not destroy",
    expected: [],
    plant: async (trial, operator) => {
      await trial.volumes(PREPARED);
      operator.loseBacking(trial.permitId, "prepared");
    },
  },
  {
    name: "a workspace with data that passed no gate",
    why: "invariant 6: no proof, no data mounted",
    expected: [6],
    plant: async (trial) => {
      await trial.volumes(PREPARED);
      await trial.start(workspace("research/a", { mounts: [mount("prepared", "ro")] }));
    },
  },
  {
    name: "a workspace with data opened before its isolation was shown",
    why: "invariant 6: no proof, no reachability",
    expected: [6],
    plant: async (trial) => {
      await trial.volumes(PREPARED);
      const research = workspace("research/a", { mounts: [mount("prepared", "ro")], sensitive: true });
      await trial.start(research);
      await trial.open(research);
    },
  },
];

for (const { name, why, expected, plant } of CASES) {
  Deno.test(`LabJudge: ${name}`, async () => {
    const backend = labBackend();
    const judge = new LabJudge(backend.cluster);
    try {
      const trial = new Trial(backend, backend.permitId("judged"));
      await trial.scope();
      await plant(trial, new LabOperator(backend.cluster), new LabInside(backend.cluster));
      await backend.clock.sleep(10_000);
      const violations = judge.violations();
      assert.deepEqual(
        [...new Set(violations.map(({ invariant }) => invariant))].sort(),
        expected,
        `${why}: ${JSON.stringify(violations, null, 1)}`,
      );
      assert.ok(
        violations.every(({ permitId, message }) => permitId === trial.permitId && message.length > 0),
      );
    } finally {
      judge.close();
      await backend.close();
    }
  });
}

Deno.test("LabJudge: a violation has an end, and stands there again when it comes again", async () => {
  const backend = labBackend();
  const judge = new LabJudge(backend.cluster);
  try {
    const trial = new Trial(backend, backend.permitId("judged"));
    const operator = new LabOperator(backend.cluster);
    await trial.scope();
    await trial.volumes(PREPARED);
    await trial.start(workspace("research/a", { mounts: [mount("prepared", "ro")], sensitive: true }));
    for (const name of ["first", "second"]) {
      operator.addForeignPolicy(trial.permitId, name);
      await backend.clock.sleep(1_000);
      operator.removePolicy(trial.permitId, name);
      for (const { name } of snapshotOf(backend.cluster, trial.permitId).pods) {
        operator.deletePod(trial.permitId, name);
      }
      await backend.clock.sleep(10_000);
    }
    const exposed = judge.violations().filter(({ invariant }) => invariant === 1);
    assert.equal(exposed.length, 2, JSON.stringify(exposed));
    for (const { atMs, untilMs } of exposed) assert.ok(untilMs !== null && untilMs > atMs);
  } finally {
    judge.close();
    await backend.close();
  }
});
