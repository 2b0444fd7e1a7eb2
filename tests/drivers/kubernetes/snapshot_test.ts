import assert from "node:assert/strict";
import { readSnapshot } from "../../../src/drivers/kubernetes/observe/snapshot.ts";
import { NOTE } from "../../../src/drivers/kubernetes/marks.ts";
import { startDouble, status, stored } from "./double.ts";
import { NAMESPACE, PERMIT } from "./fixtures.ts";

const SIGNAL = new AbortController().signal;
/** What a look at a standing namespace asks for: the namespace, the volumes, and eleven kinds within. */
const ALL = 13;

interface Case {
  why: string;
  stood: boolean;
  exists: boolean;
  requests: number;
}

const READS: Case[] = [
  { why: "a new permit has nothing within", stood: false, exists: false, requests: 2 },
  {
    why: "after a restart nothing is known, and everything found",
    stood: false,
    exists: true,
    requests: ALL,
  },
  { why: "one that stood is read at once", stood: true, exists: true, requests: ALL },
  { why: "and its end is shown by lists that find nothing", stood: true, exists: false, requests: ALL },
];

for (const { why, stood, exists, requests } of READS) {
  Deno.test(`readSnapshot: ${why}`, async () => {
    await using double = startDouble(({ url }) => {
      const { pathname } = new URL(url);
      if (pathname.endsWith(`/namespaces/${NAMESPACE}`)) {
        return exists
          ? Response.json(stored("Namespace", NAMESPACE))
          : status(404, "NotFound", `namespaces "${NAMESPACE}" not found`);
      }
      const items = exists && pathname.endsWith("/services") ? [stored("Service", "s")] : [];
      return Response.json({ kind: "List", metadata: { resourceVersion: "1" }, items });
    });
    const snapshot = await readSnapshot(double.client, { permitId: PERMIT, atMs: 0, stood }, SIGNAL);
    assert.equal(double.requests.length, requests);
    assert.equal(snapshot.namespace !== null, exists);
    assert.equal(snapshot.services.length, exists ? 1 : 0);
  });
}

Deno.test("readSnapshot: pods are read after the StatefulSets whose controller may have made them", async () => {
  let computesAnswered = false;
  let podsAskedLater = false;
  await using double = startDouble(async ({ url }) => {
    const { pathname } = new URL(url);
    if (pathname.endsWith(`/namespaces/${NAMESPACE}`)) return Response.json(stored("Namespace", NAMESPACE));
    if (pathname.endsWith("/pods")) podsAskedLater = computesAnswered;
    if (pathname.endsWith("/statefulsets")) {
      await Promise.resolve();
      computesAnswered = true;
    }
    return Response.json({ kind: "List", metadata: { resourceVersion: "1" }, items: [] });
  });
  await readSnapshot(double.client, { permitId: PERMIT, atMs: 0, stood: true }, SIGNAL);
  assert.ok(podsAskedLater);
});

const AGES: { why: string; nowMs: number; asked: boolean }[] = [
  { why: "pending since a moment ago is only new", nowMs: 1_000_500, asked: false },
  { why: "pending for longer has a reason", nowMs: 1_010_000, asked: true },
  { why: "a cluster's clock ahead of ours hides nothing", nowMs: 400_000, asked: true },
];

for (const { why, nowMs, asked } of AGES) {
  Deno.test(`readSnapshot: ${why}`, async () => {
    const claim = {
      metadata: {
        creationTimestamp: new Date(1_000_000).toISOString(),
        annotations: { [NOTE.permitId]: PERMIT },
      },
      status: { phase: "Pending" },
    };
    await using double = startDouble(({ url }) => {
      const { pathname } = new URL(url);
      if (pathname.endsWith(`/namespaces/${NAMESPACE}`)) return Response.json(stored("Namespace", NAMESPACE));
      const items = pathname.endsWith("/persistentvolumeclaims") ? [stored("Claim", "c", claim)] : [];
      return Response.json({ kind: "List", metadata: { resourceVersion: "1" }, items });
    });
    await readSnapshot(double.client, { permitId: PERMIT, atMs: nowMs, stood: true }, SIGNAL);
    assert.equal(double.requests.some(({ url }) => url.includes("/events")), asked);
  });
}
