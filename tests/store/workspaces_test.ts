import assert from "node:assert/strict";
import type { Db } from "../../src/store/db.ts";
import { saveWorkspaces, type WorkspaceObservation, workspacesOf } from "../../src/store/workspaces.ts";
import { addPermit, withStore } from "./fixture.ts";

const workspace = (key: string, change: Partial<WorkspaceObservation> = {}): WorkspaceObservation => ({
  key,
  kind: key.split("/")[0] ?? "",
  owner: key.split("/")[1] ?? "",
  username: key.split("/")[1] ?? "",
  wanted: "running",
  status: "RUNNING",
  posture: "isolated",
  network: "open",
  protocol: "rdp",
  host: "10.0.0.7",
  port: 3389,
  instanceUid: "uid-1",
  node: "node-a",
  outdated: false,
  mounts: [{
    volume: { volume: "home", owner: "j.virtanen", generation: 2 },
    volumeKey: "home/j.virtanen@2",
    path: "/home/j.virtanen",
    mode: "rw",
  }],
  detail: null,
  observed: {
    key,
    kind: "research",
    owner: "j.virtanen",
    power: "running",
    specHash: "abc",
    outdated: false,
    identityHash: null,
    network: { state: "shut", seen: null },
    instances: [],
    endpoint: null,
    compute: { uid: "u", version: "7" },
    unsettled: null,
    terminating: null,
  },
  observedAtMs: 500,
  ...change,
});

const NOTHING: Partial<WorkspaceObservation> = {
  wanted: "absent",
  status: "DESTROYING",
  posture: null,
  network: null,
  protocol: null,
  host: null,
  port: null,
  instanceUid: null,
  node: null,
  outdated: true,
  mounts: [],
  detail: "pod x-0 is terminating",
  observed: null,
};

const save = (db: Db, permitId: string, rows: WorkspaceObservation[]): Promise<void> =>
  db.write((tx) => saveWorkspaces(tx, permitId, rows));

Deno.test("saveWorkspaces: rows come back as they went in, full and empty", async () => {
  await withStore(async (db) => {
    await addPermit(db, "p");
    const rows = [workspace("airlock/hospital-a", NOTHING), workspace("research/j.virtanen")];
    await save(db, "p", rows);
    assert.deepEqual(await workspacesOf(db, "p"), rows.map((row) => ({ permitId: "p", ...row })));
  });
});

Deno.test("saveWorkspaces: replaces the permit's whole observation, nobody else's", async () => {
  await withStore(async (db) => {
    for (const id of ["p", "q"]) {
      await addPermit(db, id);
      await save(db, id, [workspace("research/a"), workspace("research/b")]);
    }
    await save(db, "p", [workspace("research/b", { status: "STOPPED" })]);
    assert.deepEqual((await workspacesOf(db, "p")).map(({ key, status }) => [key, status]), [[
      "research/b",
      "STOPPED",
    ]]);
    assert.equal((await workspacesOf(db, "q")).length, 2);
    await save(db, "p", []);
    assert.deepEqual(await workspacesOf(db, "p"), []);
  });
});
