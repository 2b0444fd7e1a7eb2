import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import amqp from "amqplib";
import { type Cluster, NET, requireOrReport, startCluster, STORAGE } from "../cluster/harness.ts";
import { RabbitMq } from "../services/rabbitmq.ts";
import { Redis } from "../services/redis.ts";
import { until } from "../services/until.ts";

// The tests of the tests' own equipment: what stands on it is only worth what these show.

const noRabbit = !(await requireOrReport("rabbitmq"));
const noRedis = !(await requireOrReport("redis"));
const noCluster = !(await requireOrReport("cluster"));

Deno.test("RabbitMq: a confirmed message survives kill and restart, and frozen means silent", {
  ignore: noRabbit,
}, async () => {
  await using broker = await RabbitMq.start();
  await publish(broker.url, "equipment", "kept");
  await broker.settles("equipment");
  await broker.kill();
  assert.equal(broker.running, false, "killed");
  await assert.rejects(amqp.connect(broker.url, { timeout: 1_000 }), "a killed broker takes no connection");
  await broker.restart();
  assert.equal(await take(broker.url, "equipment"), "kept");
  assert.match(await broker.rabbitmqctl(["-q", "list_queues", "name"]), /^equipment$/m);
  broker.freeze();
  assert.equal(await broker.greets(500), false, "a frozen broker does not answer");
  broker.thaw();
  assert.equal(await broker.greets(5_000), true);
});

const quorum = { durable: true, arguments: { "x-queue-type": "quorum" } };

async function publish(url: string, queue: string, text: string): Promise<void> {
  const connection = await amqp.connect(url);
  connection.on("error", () => {}); // the broker dies soon; an unheard error would end the process
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, quorum);
  channel.sendToQueue(queue, Buffer.from(text));
  await channel.waitForConfirms();
  await connection.close();
}

async function take(url: string, queue: string): Promise<string> {
  const connection = await amqp.connect(url);
  connection.on("error", () => {});
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, quorum);
  const message = await until("the message is delivered", () => channel.get(queue, { noAck: true }));
  await connection.close();
  return message.content.toString();
}

Deno.test(
  "Redis: answers, forgets by kill, answers again at the same address",
  { ignore: noRedis },
  async () => {
    await using redis = await Redis.start();
    assert.equal(await redis.cli(["set", "key", "value"]), "OK");
    assert.equal(await redis.cli(["get", "key"]), "value");
    await redis.kill();
    await assert.rejects(redis.cli(["ping"]), "a killed Redis does not answer");
    await redis.restart();
    assert.equal(await redis.cli(["get", "key"]), "");
  },
);

Deno.test(
  "Daemon: a server does not outlive a test process that is killed",
  { ignore: noRedis },
  async () => {
    const program = `
      import { Redis } from "${import.meta.resolve("../services/redis.ts")}";
      const redis = await Redis.start();
      console.log(redis.port);
      Deno.kill(Deno.pid, "SIGKILL");`;
    const output = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", `data:application/typescript,${encodeURIComponent(program)}`],
      stdout: "piped",
      stderr: "piped",
    }).output();
    const port = Number(new TextDecoder().decode(output.stdout).trim());
    assert.ok(port > 0, new TextDecoder().decode(output.stderr));
    await until("the orphaned Redis is gone", async () => {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return false;
      } catch (error) {
        return error instanceof Deno.errors.ConnectionRefused;
      }
    });
  },
);

Deno.test("Cluster: pods, policy, volumes, accounts and audit are real", { ignore: noCluster }, async (t) => {
  const cluster = await startCluster();
  const namespace = `equipment-${crypto.randomUUID().slice(0, 8)}`;
  try {
    await cluster.kubectl(["create", "namespace", namespace]);
    await until("the default account", async () => {
      return (await cluster.tryKubectl(["get", "serviceaccount", "default", "-n", namespace])).code === 0;
    });
    await t.step("a box serves desktop ports as a person's uid", () => boxServes(cluster, namespace));
    await t.step(
      "fsGroup opens a volume, its absence does not",
      () => volumeNeedsGroup(cluster, namespace),
    );
    await t.step(
      "Retain keeps a volume as Released, Delete removes it",
      () => reclaims(cluster, namespace),
    );
    await t.step(
      "default deny drops packets, an allowed source passes",
      () => policyActs(cluster, namespace),
    );
    await t.step("the host reaches a service's address", () => hostReachesService(cluster, namespace));
    await t.step("a service account's token is somebody else", () => accountAsks(cluster, namespace));
    if (cluster.auditLogPath !== undefined) {
      await t.step("audit names who did it", () => audited(cluster, namespace));
    }
  } finally {
    await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
    await cluster.stop();
  }
});

const restricted = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

function pod(
  cluster: Cluster,
  namespace: string,
  name: string,
  more: { fsGroup?: number; claim?: string } = {},
): object {
  const volumes = more.claim === undefined
    ? []
    : [{ name: "data", persistentVolumeClaim: { claimName: more.claim } }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 21001,
        runAsGroup: 21001,
        seccompProfile: { type: "RuntimeDefault" },
        ...(more.fsGroup === undefined ? {} : { fsGroup: more.fsGroup }),
      },
      containers: [{
        name: "box",
        image: cluster.images.boxByDigest,
        imagePullPolicy: "IfNotPresent",
        env: [{ name: "WORKSPACE_KIND", value: "research" }],
        securityContext: restricted,
        readinessProbe: { tcpSocket: { port: 3389 }, periodSeconds: 1 },
        volumeMounts: volumes.map(({ name }) => ({ name, mountPath: "/data" })),
      }],
      volumes,
    },
  };
}

async function ready(cluster: Cluster, namespace: string, name: string): Promise<string> {
  await cluster.kubectl(["wait", "--for=condition=Ready", "-n", namespace, `pod/${name}`, "--timeout=60s"]);
  return await cluster.kubectl(["get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.podIP}"]);
}

async function boxServes(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply(pod(cluster, namespace, "first"), pod(cluster, namespace, "second"));
  const address = await ready(cluster, namespace, "first");
  await ready(cluster, namespace, "second");
  const asked = await cluster.exec(namespace, "second", [
    "probe",
    "get",
    `http://${address}:3389`,
    `tcp://${address}:5901`,
    `tcp://${address}:2222`,
  ]);
  assert.equal(asked.code, 0, asked.stdout);
  assert.match(asked.stdout, /workspace research 3389[^]*workspace research 5901[^]*workspace research 2222/);
  const account = await cluster.exec(namespace, "first", ["sh", "-c", "id -u; touch /here 2>&1 || true"]);
  assert.match(account.stdout, /^21001\ntouch: \/here: Read-only file system/);
}

async function volumeNeedsGroup(cluster: Cluster, namespace: string): Promise<void> {
  for (const name of ["with-group", "without-group"]) await cluster.apply(claim(namespace, name));
  await cluster.apply(
    pod(cluster, namespace, "with-group", { claim: "with-group", fsGroup: 30001 }),
    pod(cluster, namespace, "without-group", { claim: "without-group" }),
  );
  await ready(cluster, namespace, "with-group");
  await ready(cluster, namespace, "without-group");
  const write = ["probe", "write", "/data/file"];
  assert.equal((await cluster.exec(namespace, "with-group", write)).stdout, "OK\n");
  const refused = await cluster.exec(namespace, "without-group", write);
  assert.match(refused.stderr, /permission denied/);
}

function claim(namespace: string, name: string): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name, namespace },
    spec: {
      accessModes: ["ReadWriteMany"],
      storageClassName: STORAGE.standard,
      resources: { requests: { storage: "1Gi" } },
    },
  };
}

async function reclaims(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.apply(claim(namespace, "kept"));
  const name = await until("the claim is bound", async () => {
    const args = ["get", "pvc", "kept", "-n", namespace, "-o", "jsonpath={.status.phase} {.spec.volumeName}"];
    const [phase, volume] = (await cluster.kubectl(args)).split(" ");
    return phase === "Bound" && volume;
  });
  const policy = (value: string): Promise<string> =>
    cluster.kubectl([
      "patch",
      "pv",
      name,
      "-p",
      JSON.stringify({ spec: { persistentVolumeReclaimPolicy: value } }),
    ]);
  await policy("Retain");
  await cluster.kubectl(["delete", "pvc", "kept", "-n", namespace]);
  await until("the volume is Released", async () => {
    return await cluster.kubectl(["get", "pv", name, "-o", "jsonpath={.status.phase}"]) === "Released";
  });
  await policy("Delete");
  await until("the volume is gone", async () => (await cluster.tryKubectl(["get", "pv", name])).code !== 0);
}

async function policyActs(cluster: Cluster, namespace: string): Promise<void> {
  const address = await ready(cluster, namespace, "first");
  const ask = (): Promise<boolean> => opens(`${address}`, 3389);
  assert.equal(await ask(), true, "without a policy the host reaches the pod");
  const policy = (ingress: object[]): object => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name: "deny", namespace },
    spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress },
  });
  await cluster.apply(policy([]));
  await until("packets from the host are dropped", async () => !(await ask()));
  const egress = await cluster.exec(namespace, "second", ["probe", "get", `http://${address}:3389`]);
  assert.match(egress.stdout, /^BLOCKED/);
  await cluster.apply(policy([{ from: [{ ipBlock: { cidr: `${NET.host}/32` } }] }]));
  await until("the allowed host passes", ask);
  await cluster.kubectl(["delete", "networkpolicy", "deny", "-n", namespace]);
}

/** A dropped packet gets no answer, so half a second of silence means no. */
async function opens(hostname: string, port: number): Promise<boolean> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), 500);
  try {
    (await Deno.connect({ hostname, port, signal: patience.signal })).close();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

async function hostReachesService(cluster: Cluster, namespace: string): Promise<void> {
  await cluster.kubectl(["expose", "pod", "first", "-n", namespace, "--port=3389", "--type=NodePort"]);
  const args = ["get", "service", "first", "-n", namespace, "-o"];
  const address = await cluster.kubectl([...args, "jsonpath={.spec.clusterIP}"]);
  const port = Number(await cluster.kubectl([...args, "jsonpath={.spec.ports[0].nodePort}"]));
  await until("the cluster address answers", () => opens(address, 3389));
  await until("the node port answers", () => opens(NET.node, port));
}

async function accountAsks(cluster: Cluster, namespace: string): Promise<void> {
  const token = (await cluster.kubectl(["create", "token", "default", "-n", namespace])).trim();
  const caCerts = cluster.connection.caCert === undefined ? [] : [cluster.connection.caCert];
  using client = Deno.createHttpClient({ caCerts });
  const answer = await fetch(`${cluster.connection.server}/api/v1/namespaces/${namespace}/secrets`, {
    client,
    headers: { authorization: `Bearer ${token}` },
  });
  const text = await answer.text();
  assert.equal(answer.status, 403, text);
  assert.match(text, new RegExp(`system:serviceaccount:${namespace}:default`));
}

function audited(cluster: Cluster, namespace: string): void {
  const { entries, next } = cluster.readAudit();
  const mine = entries.filter((entry) => entry.objectRef?.namespace === namespace);
  const refused = mine.find((entry) => entry.responseStatus?.code === 403);
  assert.equal(refused?.user.username, `system:serviceaccount:${namespace}:default`);
  assert.deepEqual([refused.verb, refused.objectRef?.resource], ["list", "secrets"]);
  assert.ok(mine.some((entry) => entry.user.username === "admin" && entry.objectRef?.subresource === "exec"));
  assert.ok(
    !entries.some((entry) => entry.user.username?.startsWith("cluster:")),
    "the cluster's own parts are left out",
  );
  assert.ok(next > 0);
}

Deno.test("Cluster.useFakeNodes: a node's name decides what becomes of its pods", {
  ignore: noCluster || Deno.env.has("WPS_TEST_KUBECONFIG"),
}, async () => {
  const cluster = await startCluster();
  const namespace = `fake-${crypto.randomUUID().slice(0, 8)}`;
  const names = ["fake-0", "slow-0", "stuck-0", "failing-0"];
  try {
    await using _nodes = await cluster.useFakeNodes(names);
    await cluster.kubectl(["create", "namespace", namespace]);
    for (const name of names) await cluster.apply(fakePod(namespace, name));
    await cluster.kubectl([
      "wait",
      "--for=condition=Ready",
      "-n",
      namespace,
      "pod/fake-0",
      "--timeout=10s",
    ]);
    await cluster.kubectl([
      "wait",
      "--for=condition=Ready",
      "-n",
      namespace,
      "pod/slow-0",
      "--timeout=20s",
    ]);
    const args = ["get", "pods", "-n", namespace, "-o"];
    const waiting = "jsonpath={.items[*].status.initContainerStatuses[0].state.waiting.reason}";
    assert.equal(await cluster.kubectl([...args, waiting]), "CrashLoopBackOff");
    assert.equal(
      await cluster.kubectl([...args, "jsonpath={.items[?(@.metadata.name=='stuck-0')].status.phase}"]),
      "Pending",
    );
  } finally {
    await cluster.kubectl(["delete", "namespace", namespace, "--wait=false"]);
    await cluster.stop();
  }
});

/** With an account of its own: a new namespace's default one may not be there yet. */
function fakePod(namespace: string, node: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "List",
    items: [
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: node, namespace } },
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: node, namespace },
        spec: {
          serviceAccountName: node,
          nodeSelector: { "kubernetes.io/hostname": node },
          initContainers: [{ name: "first", image: "none" }],
          containers: [{ name: "main", image: "none" }],
        },
      },
    ],
  });
}
