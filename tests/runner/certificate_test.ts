import assert from "node:assert/strict";
import { z } from "zod";
import type { Certificate } from "../../src/core/certificate.ts";
import { certificatesOf, type StoredCertificate } from "../../src/store/certificates.ts";
import { canonicalJson, sha256Hex } from "../../src/core/sha256.ts";
import { DEFAULT_LAB_SETTINGS } from "../../src/drivers/lab/settings.ts";
import { PERMIT, SIGNER, type Stage, withStage } from "./stage.ts";

/** The permit's certificates, each with a signature that holds. */
async function certificates(stage: Stage): Promise<(StoredCertificate & { told: Certificate })[]> {
  return (await certificatesOf(stage.db, PERMIT)).map((stored) => {
    assert.ok(SIGNER.key.verify(stored.body, stored.signature), "signed by the site");
    const told: Certificate = JSON.parse(stored.body);
    assert.equal(canonicalJson(told), stored.body, "canonical");
    return { ...stored, told };
  });
}

async function destroyed(stage: Stage): Promise<void> {
  await stage.until("destroyed", async () => (await stage.snapshot()).status === "DESTROYED");
}

Deno.test("certificate: names every object that ever was, who ordered its end and who saw it gone", () =>
  withStage(async (stage) => {
    const seen = new Map<string, string>();
    const note = (): void => {
      const { scopes, backings } = stage.cluster.read(({ state }) => structuredClone(state));
      for (const scope of Object.values(scopes)) {
        const inside = [
          scope.computes,
          scope.identities,
          scope.policies,
          scope.pods,
          scope.claims,
          scope.tasks,
        ];
        for (const object of [scope, ...inside.flatMap((group) => Object.values(group))]) {
          seen.set(object.uid, object.name);
        }
      }
      for (const backing of Object.values(backings)) seen.set(backing.uid, backing.name);
    };
    for (const status of ["WORKSPACE_SETUP_PENDING", "WORKSPACE_SETUP_REVIEW_PENDING", "ANALYSIS_ACTIVE"]) {
      await stage.status(status);
      await stage.latest("succeeded");
      note();
    }
    assert.deepEqual(await certificates(stage), []);
    const { seq } = await stage.send("permit.deleted");
    await destroyed(stage);
    const [first, ...rest] = await certificates(stage);
    assert.ok(first !== undefined && rest.length === 0);
    const { told } = first;
    assert.deepEqual([told.permitId, told.serial, told.complete, told.previous, told.keyId], [
      PERMIT,
      1,
      true,
      null,
      SIGNER.key.id,
    ]);
    assert.deepEqual([told.request?.event, told.request?.type], [seq, "permit.deleted"]);
    for (const [uid, name] of seen) {
      assert.ok(told.objects.some((object) => object.uid === uid), `${name} is told of`);
    }
    for (const { kind, name, ordered, absent } of told.objects) {
      assert.ok(absent !== null, `${kind} ${name} was seen to be absent`);
      assert.match(absent.by, /did not show it$|was not found$/);
      if (kind !== "Pod") {
        assert.ok(ordered !== null && ordered.at <= absent.at, `${kind} ${name} was ordered away`);
      }
    }
    const kinds = new Set(told.objects.map(({ kind }) => kind));
    for (const kind of ["Namespace", "StatefulSet", "Secret", "NetworkPolicy", "Pod", "PersistentVolume"]) {
      assert.ok(kinds.has(kind), kind);
    }
    const volumes = (await stage.volumes()).map(({ key }) => key);
    assert.deepEqual(told.volumes.map(({ key }) => key), volumes);
    for (const { key, uids } of told.volumes.filter(({ bound }) => bound)) {
      assert.equal(uids.length, 2, `${key}: claim and backing volume`);
    }
    const actions = await stage.db.read(
      "select action, reason from audit where action = 'permit.certified'",
      [],
      z.object({ action: z.string(), reason: z.string() }),
    );
    assert.equal(actions.length, 1);
    assert.ok(actions[0]?.reason.includes(sha256Hex(first.body)), "the audit has the certificate's hash");
  }));

Deno.test("certificate: a permit that never had objects gets one that says so", () =>
  withStage(async (stage) => {
    await stage.send("permit.deleted");
    await destroyed(stage);
    const [only] = await certificates(stage);
    assert.deepEqual([only?.told.objects, only?.told.volumes, only?.told.complete], [[], [], true]);
    assert.match(only?.told.statement ?? "", /^No object of permit-001 was ever observed/);
  }));

Deno.test("certificate: objects that come after the deletion get a further one, which names the first", () =>
  withStage(async (stage) => {
    await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.latest("succeeded");
    const before = stage.cluster.read(({ state }) => structuredClone(state.scopes));
    await stage.send("permit.deleted");
    await destroyed(stage);
    const [name, scope] = Object.entries(before)[0] ?? assert.fail("no namespace");
    stage.cluster.write(name, (world) => {
      world.state.scopes[name] = {
        ...scope,
        uid: "late-uid",
        computes: {},
        identities: {},
        policies: {},
        enforced: {},
        pods: {},
        claims: {},
        tasks: {},
      };
    });
    await stage.until("a further certificate", async () => (await certificates(stage)).length === 2);
    const [first, second] = await certificates(stage);
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(second.told.previous, sha256Hex(first.body));
    assert.deepEqual(second.told.objects.map(({ kind, uid }) => [kind, uid]), [["Namespace", "late-uid"]]);
    assert.match(second.told.statement, /appeared after its deletion none is left/);
    assert.equal((await stage.snapshot()).status, "DESTROYED");
  }, { driftMs: 60_000, settings: { ...DEFAULT_LAB_SETTINGS } }));

Deno.test("certificate: none while halted, whose deletion destroys compute only", () =>
  withStage(async (stage) => {
    await stage.status("WORKSPACE_SETUP_PENDING");
    await stage.latest("succeeded");
    await stage.send("permit.halted");
    await stage.latest("succeeded");
    await stage.send("permit.deleted");
    await stage.latest("succeeded");
    assert.deepEqual(await certificates(stage), []);
    await stage.send("permit.resumed");
    await destroyed(stage);
    const [only] = await certificates(stage);
    assert.equal(
      only?.told.request?.type,
      "permit.deleted",
      "the event that asked, not the one that let it go on",
    );
    assert.equal(only?.told.complete, true);
  }));
