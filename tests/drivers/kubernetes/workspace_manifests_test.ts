import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import type { DesiredWorkspace, Mount } from "../../../src/core/workspace.ts";
import type { KubernetesSite } from "../../../src/drivers/kubernetes/settings.ts";
import { parseVolumeKey } from "../../../src/core/volume.ts";
import {
  homeOf,
  serviceManifest,
  statefulSetManifest,
} from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { templateHash, templateOf } from "../../../src/drivers/kubernetes/manifests/template.ts";
import { airlock, NAMESPACE, PERMIT, research, settings, site } from "./fixtures.ts";

const NAME = "research-j-virtanen-6a73fdc32951";
const HOME = "vol-home-j-virtanen-20f0035a30b1";
const PREPARED = "vol-prepared-b0f4b2e7996a";

function mount(volumeKey: string, path: string, mode: Mount["mode"]): Mount {
  return { volume: parseVolumeKey(volumeKey), volumeKey, path, mode };
}

const LABELS = {
  "app.kubernetes.io/managed-by": "wps",
  "app.kubernetes.io/part-of": NAMESPACE,
  "app.kubernetes.io/component": "workspace",
  "spe.wps/permit": NAMESPACE,
  "app.kubernetes.io/name": "research",
  "app.kubernetes.io/instance": NAME,
  "spe.wps/workspace": NAME,
};

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
/** 0440 and 0444, in decimal as JSON has them. */
const GROUP = 288, WORLD = 292;

Deno.test("statefulSetManifest: an isolated workspace with data, whole", () => {
  const workspace = research({
    mounts: [mount("prepared", "/data/prepared", "ro"), mount("home/j.virtanen", "/home/j.virtanen", "rw")],
  });
  const annotations = {
    "spe.wps/permit-id": PERMIT,
    "spe.wps/workspace-key": "research/j.virtanen",
    "spe.wps/username": "j.virtanen",
    "spe.wps/posture": "isolated",
    "spe.wps/protocol": "rdp",
    "spe.wps/tier": "standard",
    "spe.wps/volume-keys": '["home/j.virtanen","prepared"]',
    "spe.wps/template-hash": templateHash(templateOf(site(), workspace)),
  };
  assert.deepEqual(statefulSetManifest(PERMIT, workspace, site(), null), {
    metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS, annotations },
    spec: {
      replicas: 1,
      serviceName: NAME,
      selector: { matchLabels: { "spe.wps/workspace": NAME, "spe.wps/role": "desktop" } },
      podManagementPolicy: "OrderedReady",
      updateStrategy: { type: "OnDelete" },
      revisionHistoryLimit: 1,
      template: {
        metadata: { labels: { ...LABELS, "spe.wps/role": "desktop" }, annotations },
        spec: {
          serviceAccountName: "workspace",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          dnsPolicy: "None",
          dnsConfig: { nameservers: ["127.0.0.1"] },
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 21001,
            runAsGroup: 21001,
            fsGroup: 30100,
            fsGroupChangePolicy: "OnRootMismatch",
            seccompProfile: { type: "RuntimeDefault" },
          },
          containers: [{
            name: "workspace",
            image: "registry.site/research:1",
            imagePullPolicy: "IfNotPresent",
            env: [
              { name: "WORKSPACE_USER", value: "j.virtanen" },
              { name: "WORKSPACE_UID", value: "21001" },
              { name: "WORKSPACE_GID", value: "21001" },
              { name: "WORKSPACE_KIND", value: "research" },
              { name: "HOME", value: "/home/j.virtanen" },
            ],
            ports: [{ name: "rdp", containerPort: 3389, protocol: "TCP" }],
            readinessProbe: { tcpSocket: { port: 3389 }, periodSeconds: 1 },
            resources: { limits: { cpu: "4", memory: "16Gi" }, requests: { cpu: "1", memory: "16Gi" } },
            securityContext: RESTRICTED,
            volumeMounts: [
              { name: "tmp", mountPath: "/tmp" },
              { name: "run", mountPath: "/run" },
              { name: "identity", mountPath: "/run/wps", readOnly: true },
              { name: "identity", mountPath: "/etc/passwd", subPath: "passwd", readOnly: true },
              { name: "identity", mountPath: "/etc/group", subPath: "group", readOnly: true },
              { name: PREPARED, mountPath: "/data/prepared", readOnly: true },
              { name: HOME, mountPath: "/home/j.virtanen" },
            ],
          }],
          volumes: [
            { name: "tmp", emptyDir: { sizeLimit: "10Gi" } },
            { name: "run", emptyDir: { medium: "Memory", sizeLimit: "64Mi" } },
            {
              name: "identity",
              secret: {
                secretName: NAME,
                defaultMode: GROUP,
                items: [
                  { key: "password", path: "password", mode: GROUP },
                  { key: "passwd", path: "passwd", mode: WORLD },
                  { key: "group", path: "group", mode: WORLD },
                ],
              },
            },
            { name: HOME, persistentVolumeClaim: { claimName: HOME } },
            { name: PREPARED, persistentVolumeClaim: { claimName: PREPARED, readOnly: true } },
          ],
        },
      },
    },
  });
});

/** The pod of a manifest; fails when there is none. */
function podOf(...given: [string, DesiredWorkspace, KubernetesSite]): NonNullable<
  NonNullable<ReturnType<typeof statefulSetManifest>["spec"]>["template"]["spec"]
> {
  return statefulSetManifest(...given, null).spec?.template.spec ?? assert.fail("no pod");
}

Deno.test("statefulSetManifest: a proxied workspace knows the proxy in both cases and resolves its name alone", () => {
  const pod = podOf(PERMIT, research({ posture: "proxied" }), site());
  const env = Object.fromEntries((pod.containers[0]?.env ?? []).map(({ name, value }) => [name, value]));
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"]) {
    assert.equal(env[name], "http://proxy.site:3128", name);
  }
  assert.deepEqual([env["NO_PROXY"], env["no_proxy"]], [
    "localhost,127.0.0.1,::1",
    "localhost,127.0.0.1,::1",
  ]);
  assert.deepEqual(pod.hostAliases, [{ ip: "10.0.0.5", hostnames: ["proxy.site"] }]);
  assert.equal(pod.dnsPolicy, "None", "the proxy resolves");
});

Deno.test("statefulSetManifest: only an open workspace asks the cluster's DNS", () => {
  const pod = podOf(PERMIT, research({ posture: "open" }), site());
  assert.deepEqual([pod.dnsPolicy, pod.dnsConfig], ["ClusterFirst", undefined]);
});

Deno.test("statefulSetManifest: an airlock has its keys, its port, a writable root where its image needs one", () => {
  const pod = podOf(
    PERMIT,
    airlock({ mounts: [mount("uploads/hospital-a", "/uploads/hospital-a", "wo")] }),
    site(),
  );
  const [container] = pod.containers;
  assert.deepEqual(container?.readinessProbe?.tcpSocket, { port: 2222 });
  assert.equal(container?.securityContext?.readOnlyRootFilesystem, false);
  const upload = container?.volumeMounts?.find(({ mountPath }) => mountPath === "/uploads/hospital-a");
  assert.equal(upload?.readOnly, undefined, "wo is rw to the kernel");
  const secret = pod.volumes?.find(({ name }) => name === "identity")?.secret;
  assert.deepEqual(secret?.items?.map(({ key, mode }) => [key, mode]), [
    ["password", GROUP],
    ["passwd", WORLD],
    ["group", WORLD],
    ["authorized_keys", GROUP],
    ["ssh_host_key", GROUP],
  ]);
});

Deno.test("statefulSetManifest: one volume read and written in one pod is writable at claim level", () => {
  const mounts = [mount("project", "/project", "ro"), mount("project", "/work", "rw")];
  const pod = podOf(PERMIT, research({ mounts }), site());
  const claims = (pod.volumes ?? []).filter((volume) => volume.persistentVolumeClaim !== undefined);
  assert.deepEqual(claims.map(({ persistentVolumeClaim }) => persistentVolumeClaim?.readOnly), [undefined]);
  const modes = pod.containers[0]?.volumeMounts?.filter(({ name }) => name === claims[0]?.name);
  assert.deepEqual(modes?.map(({ mountPath, readOnly }) => [mountPath, readOnly]), [["/project", true], [
    "/work",
    undefined,
  ]]);
});

Deno.test("statefulSetManifest: what the site says of pods is in them", () => {
  const given = settings({
    podGraceSeconds: 5,
    cpuRequestPercent: 10,
    nodeSelector: { pool: "spe" },
    tolerations: [{ key: "spe", operator: "Exists", effect: "NoSchedule" }],
    runtimeClassName: "gvisor",
    imagePullSecrets: ["registry"],
  });
  const pod = podOf(
    PERMIT,
    research(),
    site({ settings: given, tiers: { standard: { cpu: "500m", memory: "1Gi" } } }),
  );
  assert.equal(pod.terminationGracePeriodSeconds, 5);
  assert.deepEqual(pod.nodeSelector, { pool: "spe" });
  assert.deepEqual(pod.tolerations, [{ key: "spe", operator: "Exists", effect: "NoSchedule" }]);
  assert.equal(pod.runtimeClassName, "gvisor");
  assert.deepEqual(pod.imagePullSecrets, [{ name: "registry" }]);
  assert.deepEqual(pod.containers[0]?.resources?.requests, { cpu: "50m", memory: "1Gi" });
});

Deno.test("statefulSetManifest: singleNode keeps a permit's pods together, spreadPods apart", () => {
  const term = {
    topologyKey: "kubernetes.io/hostname",
    labelSelector: { matchLabels: { "spe.wps/permit": NAMESPACE } },
  };
  assert.deepEqual(podOf(PERMIT, research(), site({ singleNode: true })).affinity, {
    podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] },
  });
  assert.deepEqual(podOf(PERMIT, research(), site({ settings: settings({ spreadPods: true }) })).affinity, {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm: term }],
    },
  });
});

const MISSING: { why: string; render: () => unknown; advice: RegExp }[] = [
  {
    why: "no image for the kind",
    render: () => statefulSetManifest(PERMIT, research(), site({ images: {} }), null),
    advice: /images\.research/,
  },
  {
    why: "no such tier",
    render: () => statefulSetManifest(PERMIT, research({ tier: "huge" }), site(), null),
    advice: /tiers\.huge/,
  },
  {
    why: "proxied, and no proxy",
    render: () => statefulSetManifest(PERMIT, research({ posture: "proxied" }), site({ proxy: null }), null),
    advice: /network\.proxy/,
  },
  {
    why: "a proxy by name with a range of addresses: which one should the name mean?",
    render: () =>
      statefulSetManifest(
        PERMIT,
        research({ posture: "proxied" }),
        site({ proxy: { url: "http://proxy.site:3128", cidr: "10.0.0.0/24" } }),
        null,
      ),
    advice: /network\.proxy\.cidr/,
  },
];

for (const { why, render, advice } of MISSING) {
  Deno.test(`statefulSetManifest: stalls and names the setting: ${why}`, () => {
    assert.throws(
      render,
      (thrown) =>
        thrown instanceof Fault && thrown.disposition === "stalled" && advice.test(thrown.advice ?? ""),
    );
  });
}

const TEMPLATE_CHANGES: { why: string; changed: ReturnType<typeof site>; differs: boolean }[] = [
  {
    why: "another image",
    changed: site({ images: { research: { reference: "r:2", readOnlyRoot: true } } }),
    differs: true,
  },
  {
    why: "another size of the tier",
    changed: site({ tiers: { standard: { cpu: "8", memory: "16Gi" } } }),
    differs: true,
  },
  { why: "another grace", changed: site({ settings: settings({ podGraceSeconds: 1 }) }), differs: true },
  { why: "a proxy that this posture does not use", changed: site({ proxy: null }), differs: false },
  {
    why: "another number of connections",
    changed: site({ settings: settings({ connections: 1 }) }),
    differs: false,
  },
];

for (const { why, changed, differs } of TEMPLATE_CHANGES) {
  Deno.test(`templateHash: ${differs ? "changes with" : "does not change with"} ${why}`, () => {
    const before = templateHash(templateOf(site(), research()));
    assert.equal(templateHash(templateOf(changed, research())) !== before, differs);
  });
}

Deno.test("homeOf: the writable mount below /home, else scratch space", () => {
  assert.equal(homeOf({ mounts: [mount("home/a", "/home/a", "rw")] }), "/home/a");
  assert.equal(
    homeOf({ mounts: [mount("home/a", "/home/a", "ro"), mount("project", "/project", "rw")] }),
    "/tmp",
  );
});

Deno.test("serviceManifest: a desktop has a cluster address, whole", () => {
  assert.deepEqual(serviceManifest(PERMIT, research({ protocol: "vnc" }), site()), {
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: LABELS,
      annotations: {
        "spe.wps/permit-id": PERMIT,
        "spe.wps/workspace-key": "research/j.virtanen",
        "spe.wps/protocol": "vnc",
      },
    },
    spec: {
      type: "ClusterIP",
      selector: { "spe.wps/workspace": NAME, "spe.wps/role": "desktop" },
      ports: [{ name: "vnc", protocol: "TCP", port: 5901, targetPort: 5901 }],
    },
  });
});

for (const type of ["NodePort", "LoadBalancer"] as const) {
  Deno.test(`serviceManifest: an airlock by ${type} keeps the holder's own address, which its policy judges`, () => {
    const { spec } = serviceManifest(
      PERMIT,
      airlock(),
      site({ settings: settings({ airlockService: type }) }),
    );
    assert.deepEqual([spec?.type, spec?.externalTrafficPolicy, spec?.ports?.[0]?.port], [
      type,
      "Local",
      2222,
    ]);
  });
}
