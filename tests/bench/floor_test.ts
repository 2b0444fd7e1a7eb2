import assert from "node:assert/strict";
import { BareClient, type KubeObject, renamed, wavesOf } from "../../bench/floor.ts";
import { GUARD } from "../../src/drivers/kubernetes/manifests/scope.ts";

const SPACE: KubeObject = { apiVersion: "v1", kind: "Namespace", metadata: { name: "wps-p" } };

function object(kind: string, name: string, apiVersion = "v1"): KubeObject {
  return { apiVersion, kind, metadata: { name, namespace: "wps-p" } };
}

/** As they are read back of a permit whose two workspaces are let in: each has a policy by then. */
const OBJECTS = [
  object("ResourceQuota", GUARD.quota),
  object("LimitRange", GUARD.limits),
  object("ServiceAccount", GUARD.account),
  object("RoleBinding", GUARD.secretsAccess, "rbac.authorization.k8s.io/v1"),
  object("NetworkPolicy", GUARD.defaultDeny, "networking.k8s.io/v1"),
  ...["research-r0", "research-r1"].flatMap((name) => [
    object("NetworkPolicy", name, "networking.k8s.io/v1"),
    object("PersistentVolumeClaim", `home-${name}`),
    object("Secret", name),
    object("Service", name),
    object("StatefulSet", name, "apps/v1"),
  ]),
];
const GUARDS = [
  "limitranges/wps-limits",
  "networkpolicies/wps-default-deny",
  "resourcequotas/wps-quota",
  "rolebindings/wps-secrets",
  "serviceaccounts/workspace",
];

Deno.test("BareClient: the floor sends, wave by wave, what WPS sends before the StatefulSet, and nothing later", async () => {
  const sent: string[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.body?.cancel();
    sent.push(new URL(request.url).pathname.split("/").slice(-2).join("/"));
    return new Response("{}");
  });
  const connection = { caCert: undefined, clientCert: undefined, clientKey: undefined, token: "t" };
  const client = new BareClient({
    connection: { ...connection, server: `http://127.0.0.1:${server.addr.port}` },
  });
  try {
    const written = wavesOf(SPACE, OBJECTS, ({ metadata }) => metadata.name.endsWith("r0"));
    await client.applyAll(renamed(written, "wps-floor", "-2"), true);
    assert.deepEqual(
      [sent.slice(0, 1), sent.slice(1, 6).sort(), sent.slice(6, 9).sort(), sent.slice(9)],
      [
        ["namespaces/wps-floor"],
        GUARDS,
        ["persistentvolumeclaims/home-research-r0-2", "secrets/research-r0-2", "services/research-r0-2"],
        ["statefulsets/research-r0-2"],
      ],
    );

    sent.length = 0;
    const later = wavesOf(SPACE, OBJECTS, ({ metadata }) => metadata.name.endsWith("r1"));
    await client.applyAll(renamed(later, "wps-floor", ""), false);
    assert.deepEqual(sent.toSorted(), [
      "persistentvolumeclaims/home-research-r1",
      "secrets/research-r1",
      "services/research-r1",
      "statefulsets/research-r1",
    ], "a further workspace needs no guard");
    assert.equal(sent.at(-1), "statefulsets/research-r1");
  } finally {
    client.close();
  }
});
