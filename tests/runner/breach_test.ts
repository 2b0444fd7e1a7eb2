/** A way out beside data, wherever it shows: the permit is halted, and what read the data is ended. */
import assert from "node:assert/strict";
import { Fault } from "../../src/core/fault.ts";
import { permitName } from "../../src/core/names.ts";
import type { TaskPod } from "../../src/core/observed.ts";
import type { Posture } from "../../src/core/phase.ts";
import type { Mount } from "../../src/core/workspace.ts";
import { DEFAULT_DENY } from "../../src/drivers/lab/network.ts";
import { tellBreach, tellReached } from "../../src/runner/breach.ts";
import { boundVolume, mount, neverSeen, readyInstance } from "../conformance/fixtures.ts";
import { PERMIT, type Stage, withStage } from "./stage.ts";

/** Long enough to be found in the middle. */
const TASK_MS = 3_000_000;

/** Both holders' uploads are on their way into `raw`. */
async function consolidating(stage: Stage): Promise<void> {
  await stage.job((await stage.status("AWAITING_INGRESS")).jobId, "succeeded");
  await stage.job((await stage.send("permit.ingress.initiated")).jobId, "succeeded");
  await stage.status("DATA_PREPARATION_PENDING");
  await stage.until(
    "both consolidations run",
    () => stage.truth().pods.filter(({ kind, phase }) => kind === "task" && phase === "running").length === 2,
  );
}

const OPENINGS: { how: string; open(stage: Stage): void; close?(stage: Stage): void }[] = [
  {
    how: "a foreign policy",
    open: ({ operator }) => operator.addForeignPolicy(PERMIT, "let-me-out"),
    close: ({ operator }) => operator.removePolicy(PERMIT, "let-me-out"),
  },
  { how: "an altered default-deny", open: ({ operator }) => operator.weakenDefaultDeny(PERMIT) },
];

for (const { how, open, close } of OPENINGS) {
  Deno.test(`tellBreach: a consolidation that ${how} lets out is told of, halted and ended`, async () => {
    await withStage(async (stage) => {
      await consolidating(stage);
      open(stage);
      await stage.until("the permit is halted", async () => (await stage.permit()).halted, 60_000);
      await stage.until("nothing of it runs", () => stage.truth().pods.length === 0, 60_000);
      stage.forgive(); // packets that got out before it was seen
      close?.(stage);
      await stage.job((await stage.send("permit.resumed")).jobId, "succeeded", 2 * TASK_MS);
      assert.deepEqual(stage.truth().tasks, [], "begun anew, and done");
    }, { settings: { taskMs: TASK_MS } });
  });
}

/** A researcher's pod was evicted while nothing of the service ran; its successor is ready, and `meanwhile` happens. */
async function withSuccessor(stage: Stage, meanwhile: () => void): Promise<string> {
  await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
  const [first] = stage.truth().pods.filter(({ of }) => of.startsWith("research/"));
  assert.ok(first !== undefined);
  const successor = () =>
    stage.truth().pods.find(({ of, uid, ready }) => of === first.of && uid !== first.uid && ready);
  await stage.halted(async () => {
    stage.operator.deletePod(PERMIT, first.name);
    await stage.until("its successor is ready", successor, 60_000);
    meanwhile();
    await stage.clock.sleep(5_000);
  });
  return successor()?.uid ?? assert.fail("it has gone");
}

Deno.test("tellBreach: a pod that nothing selects, because the default-deny is gone, is halted and ended", async () => {
  await withStage(async (stage) => {
    const uid = await withSuccessor(stage, () => stage.operator.removePolicy(PERMIT, DEFAULT_DENY));
    await stage.until("the permit is halted", async () => (await stage.permit()).halted, 60_000);
    await stage.until("nothing of it runs", () => stage.truth().pods.length === 0, 60_000);
    const broken = new Set(stage.violations().map(({ invariant }) => invariant));
    assert.deepEqual([...broken], [1, 2], "it was out before the service came back");
    stage.forgive();
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
    assert.ok(stage.truth().pods.every((pod) => pod.uid !== uid && pod.leaves.length === 0));
  });
});

Deno.test("tellBreach: a default-deny that somebody removed is mended, and ends nobody whom his own policy holds", async () => {
  await withStage(async (stage) => {
    await stage.job((await stage.status("ANALYSIS_ACTIVE")).jobId, "succeeded");
    const uids = (): string[] => stage.truth().pods.map(({ uid }) => uid);
    const before = uids();
    stage.operator.removePolicy(PERMIT, DEFAULT_DENY);
    const isMended = (): boolean =>
      stage.cluster.read(({ state }) =>
        state.scopes[permitName(PERMIT)]?.policies[DEFAULT_DENY] !== undefined
      );
    await stage.until("it is mended", isMended);
    assert.deepEqual([uids(), (await stage.permit()).halted], [before, false]);
  });
});

Deno.test("tellBreach: names what has a pod and a way out, once, and not of a halted permit", async () => {
  const told: string[] = [];
  const alarm = (permitId: string, what: string, why: string): Promise<void> => {
    told.push(`${permitId}: ${what}: ${why}`);
    return Promise.resolve();
  };
  const breached = { state: "breached", by: "NetworkPolicy let-me-out", seen: null } as const;
  const pod: TaskPod = { uid: "uid-1", name: "task-1", mounts: [], gated: true };
  const task = (pods: TaskPod[]) => ({
    key: "uploads/hospital-a",
    name: "task",
    state: "running" as const,
    message: null,
    pods,
    network: breached,
    terminating: null,
    seen: null,
  });
  const workspaces = [{ ...neverSeen("research/a"), network: breached }];
  await tellBreach({ alarm }, { permitId: "p", halted: false }, {
    workspaces,
    tasks: [task([])],
    volumes: [],
  });
  assert.deepEqual(told, [], "nothing of them runs");
  await tellBreach({ alarm }, { permitId: "p", halted: true }, {
    workspaces,
    tasks: [task([pod])],
    volumes: [],
  });
  assert.deepEqual(told, [], "it is halted");
  await tellBreach({ alarm }, { permitId: "p", halted: false }, {
    workspaces,
    tasks: [task([pod])],
    volumes: [],
  });
  assert.deepEqual(told, [
    "p: consolidation of uploads/hospital-a: NetworkPolicy let-me-out opens its network",
  ]);
});

/** What a policy of WPS's exact form opens for a pod, and what that pod mounts. */
const OPENED: {
  why: string;
  key: string;
  posture: Posture;
  openedFor?: string;
  mounts: Mount[];
  told: boolean;
}[] = [
  {
    why: "the internet beside data",
    key: "research/a",
    posture: "open",
    mounts: [mount("prepared", "ro")],
    told: true,
  },
  {
    why: "the proxy beside data",
    key: "research/a",
    posture: "proxied",
    mounts: [mount("prepared", "ro")],
    told: true,
  },
  {
    why: "strangers' addresses beside data",
    key: "research/a",
    posture: "inbound-allowlist",
    mounts: [mount("prepared", "ro")],
    told: true,
  },
  {
    why: "nobody but the gateway",
    key: "research/a",
    posture: "isolated",
    mounts: [mount("prepared", "ro")],
    told: false,
  },
  {
    why: "the proxy beside nothing",
    key: "research/a",
    posture: "proxied",
    mounts: [mount("project", "rw")],
    told: false,
  },
  {
    why: "the proxy for another pod than the one beside data",
    key: "research/a",
    posture: "proxied",
    openedFor: "gone",
    mounts: [mount("prepared", "ro")],
    told: false,
  },
  {
    why: "a holder's addresses beside its own uploads",
    key: "airlock/hospital-a",
    posture: "inbound-allowlist",
    mounts: [mount("uploads/hospital-a", "wo")],
    told: false,
  },
  {
    why: "a holder's addresses beside another's uploads",
    key: "airlock/hospital-a",
    posture: "inbound-allowlist",
    mounts: [mount("uploads/hospital-b", "wo")],
    told: true,
  },
];

for (const { why, key, posture, openedFor = "uid-1", mounts, told } of OPENED) {
  Deno.test(`tellBreach: ${told ? "halts" : "does not halt"} for a policy of its own that lets in or out ${why}`, async () => {
    const said: string[] = [];
    const alarm = (...seen: string[]): Promise<void> => {
      said.push(seen.join(": "));
      return Promise.resolve();
    };
    const network = { state: "open", posture, hash: "", openedFor, seen: null } as const;
    const instances = [readyInstance({ mounts })];
    const volumes = ["prepared", "uploads/hospital-a", "uploads/hospital-b"].map((name) =>
      boundVolume(name, { tainted: true })
    );
    await tellBreach({ alarm }, { permitId: "p", halted: false }, {
      workspaces: [{ ...neverSeen(key), network, instances }],
      tasks: [],
      volumes: [...volumes, boundVolume("project")],
    });
    const [text = ""] = said;
    assert.equal(said.length, told ? 1 : 0, text);
    if (told) {
      assert.ok(text.startsWith(`p: ${key}: its own policy is ${posture}, and its pod mounts `), text);
    }
  });
}

Deno.test("tellReached: a proof that finds a way out halts the permit, and nothing of it runs", async () => {
  await withStage(async (stage) => {
    let isOpen = true;
    stage.driver.before = ({ kind }) => {
      if (kind !== "prove-isolation" || !isOpen) return;
      throw new Fault(
        "stalled",
        "isolation-breached",
        "Cannot show that it is isolated: a probe reached tcp 192.0.2.1:443",
      );
    };
    await stage.status("ANALYSIS_ACTIVE");
    await stage.until("the permit is halted", async () => (await stage.permit()).halted, 60_000);
    await stage.until("nothing of it runs", () => stage.truth().pods.length === 0, 60_000);
    isOpen = false;
    await stage.job((await stage.send("permit.resumed")).jobId, "succeeded");
    assert.equal((await stage.snapshot()).status, "RUNNING");
  }, { withoutDrift: true });
});

Deno.test("tellReached: what could not be proven is no way out", async () => {
  const told: string[] = [];
  const alarm = (...seen: string[]): Promise<void> => {
    told.push(seen.join(": "));
    return Promise.resolve();
  };
  const step = { target: "research/a" };
  const unproven = new Fault("stalled", "isolation-unproven", "Cannot show it");
  const breached = new Fault(
    "stalled",
    "isolation-breached",
    "Cannot show it: a probe reached tcp 192.0.2.1:443",
  );
  await tellReached({ alarm }, "p", [{ step, fault: null }, { step, fault: unproven }]);
  assert.deepEqual(told, []);
  await tellReached({ alarm }, "p", [{ step, fault: unproven }, { step, fault: breached }]);
  assert.deepEqual(told, ["p: research/a: Cannot show it: a probe reached tcp 192.0.2.1:443"]);
});
