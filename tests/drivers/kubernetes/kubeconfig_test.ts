import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { readAccess } from "../../../src/drivers/kubernetes/access.ts";
import { credentialFiles, readKubeconfig } from "../../../src/drivers/kubernetes/kubeconfig.ts";

const clock = { now: () => 0, sleep: () => Promise.resolve() };

function reader(files: Record<string, string>): (path: string) => Promise<string> {
  return (path) => {
    const text = files[path];
    return text === undefined ? Promise.reject(new Deno.errors.NotFound(path)) : Promise.resolve(text);
  };
}

function kubeconfig(cluster: string, user: string, context = "x"): string {
  return `
apiVersion: v1
clusters: [{ name: c, cluster: ${cluster} }]
users: [{ name: u, user: ${user} }]
contexts: [{ name: x, context: { cluster: c, user: u } }, { name: y, context: { cluster: c, user: nobody } }]
current-context: ${context}
`;
}

const CLUSTER = '{ server: "https://10.0.0.1:6443/" }';

Deno.test("readKubeconfig: data in the file comes before files, relative ones are beside it", async () => {
  const pem = (name: string): string => btoa(name);
  const text = kubeconfig(
    `{ server: "https://10.0.0.1:6443/", certificate-authority-data: ${
      pem("ca")
    }, certificate-authority: other.crt }`,
    "{ client-certificate: pki/admin.crt, client-key: /keys/admin.key }",
  );
  const files = { "/etc/wps/kubeconfig": text, "/etc/wps/pki/admin.crt": "cert", "/keys/admin.key": "key" };
  assert.deepEqual(await readKubeconfig("/etc/wps/kubeconfig", undefined, reader(files)), {
    server: "https://10.0.0.1:6443",
    caPem: "ca",
    certPem: "cert",
    keyPem: "key",
    token: null,
    tokenFile: null,
  });
});

Deno.test("readKubeconfig: a token's file is named, not read: it is renewed", async () => {
  const files = { "/k": kubeconfig(CLUSTER, "{ tokenFile: token }") };
  const access = await readKubeconfig("/k", "x", reader(files));
  assert.deepEqual([access.token, access.tokenFile], [null, "/token"]);
});

const REFUSED: { why: string; text: string; context?: string; message: RegExp }[] = [
  { why: "no YAML", text: "{ a: [", message: /not valid YAML/ },
  { why: "not a kubeconfig", text: "a: b", message: /clusters/ },
  {
    why: "no such context",
    text: kubeconfig(CLUSTER, "{ token: t }"),
    context: "z",
    message: /no context "z"/,
  },
  {
    why: "no current context",
    text: kubeconfig(CLUSTER, "{ token: t }", '""'),
    message: /no current-context/,
  },
  {
    why: "a context without a user",
    text: kubeconfig(CLUSTER, "{ token: t }", "y"),
    message: /no user "nobody"/,
  },
  { why: "no server", text: kubeconfig("{ }", "{ token: t }"), message: /cluster "c": server/ },
  { why: "an exec plugin", text: kubeconfig(CLUSTER, "{ exec: { command: aws } }"), message: /exec plugin/ },
  { why: "a password", text: kubeconfig(CLUSTER, "{ username: a, password: b }"), message: /password/ },
  {
    why: "verification skipped",
    text: kubeconfig('{ server: "https://a", insecure-skip-tls-verify: true }', "{ token: t }"),
    message: /skips TLS verification/,
  },
  {
    why: "a token over plain HTTP",
    text: kubeconfig('{ server: "http://10.0.0.1:8080" }', "{ token: t }"),
    message: /http:\/\/10\.0\.0\.1, and credentials .* would go there in plain text/,
  },
  {
    why: "a token's file over plain HTTP",
    text: kubeconfig('{ server: "http://api.site" }', "{ tokenFile: token }"),
    message: /credentials .* would go there in plain text/,
  },
  {
    why: "plain HTTP to another machine, even where nobody logs in",
    text: kubeconfig('{ server: "http://10.0.0.1:8080" }', "{}"),
    message: /passwords of workspaces would go there in plain text/,
  },
  {
    why: "a name that only begins like this machine's",
    text: kubeconfig('{ server: "http://localhost.site:8001" }', "{}"),
    message: /passwords of workspaces would go there in plain text/,
  },
  {
    why: "a proxy of its own",
    text: kubeconfig('{ server: "https://a", proxy-url: "http://p" }', "{ token: t }"),
    message: /proxy-url/,
  },
  {
    why: "a file that is not there",
    text: kubeconfig(CLUSTER, "{ client-certificate: gone.crt, client-key: gone.key }"),
    message: /\/gone\.crt does not exist/,
  },
];

for (const { why, text, context, message } of REFUSED) {
  Deno.test(`readKubeconfig: refuses ${why}, and says what to do`, async () => {
    await assert.rejects(
      readKubeconfig("/k", context, reader({ "/k": text })),
      (thrown) =>
        thrown instanceof Fault && thrown.disposition === "stalled" && message.test(thrown.message) &&
        (thrown.advice ?? "").length > 0,
    );
  });
}

Deno.test("readKubeconfig: takes kubectl proxy of this machine, which adds its own credentials", async () => {
  for (const server of ["http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"]) {
    const files = { "/k": kubeconfig(`{ server: "${server}" }`, "{}") };
    assert.equal((await readKubeconfig("/k", undefined, reader(files))).server, server);
  }
});

Deno.test("credentialFiles: every file with something to log in with, and none without", async () => {
  const token = { what: "the token file", path: "/etc/wps/token" };
  const itself = { what: "the kubeconfig", path: "/etc/wps/k" };
  const cases: [why: string, user: string, expected: { what: string; path: string }[]][] = [
    ["a token in it", "{ token: t }", [itself]],
    ["a key in it", `{ client-certificate: a.crt, client-key-data: ${btoa("key")}, client-key: a.key }`, [
      itself,
    ]],
    ["a token beside it", "{ tokenFile: token }", [token]],
    ["both: either may be read", "{ token: t, tokenFile: token }", [itself, token]],
    ["a key", "{ client-certificate: a.crt, client-key: /keys/a.key }", [
      { what: "the client key", path: "/keys/a.key" },
    ]],
    [
      "what Kubernetes mounts has the mode that Kubernetes gives it",
      "{ tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token }",
      [],
    ],
    [
      "the same by the folder's other name",
      "{ tokenFile: /run/secrets/kubernetes.io/serviceaccount/token }",
      [],
    ],
  ];
  for (const [why, user, expected] of cases) {
    const files = { "/etc/wps/k": kubeconfig(CLUSTER, user) };
    assert.deepEqual(await credentialFiles("/etc/wps/k", undefined, reader(files)), expected, why);
  }
  const others = kubeconfig(CLUSTER, "{ tokenFile: token }").replace(
    "users: [",
    "users: [{ name: o, user: { token: t } }, ",
  );
  assert.deepEqual(
    await credentialFiles("/etc/wps/k", undefined, reader({ "/etc/wps/k": others })),
    [itself, token],
    "another user's token is there for everybody as well",
  );
});

Deno.test("readKubeconfig: a complaint never quotes a token", async () => {
  const text = kubeconfig(CLUSTER, "{ token: [hunter2] }");
  await assert.rejects(
    readKubeconfig("/k", undefined, reader({ "/k": text })),
    (thrown) =>
      thrown instanceof Fault && /user "u": token/.test(thrown.message) &&
      !thrown.message.includes("hunter2"),
  );
});

Deno.test("readAccess: in a pod, by the mounted account; IPv6 addresses get brackets", async () => {
  const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
  const env: Record<string, string> = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  const surroundings = {
    readText: reader({ [`${folder}/ca.crt`]: "ca" }),
    env: (name: string) => env[name],
    clock,
  };
  assert.deepEqual(await readAccess({ inCluster: true }, surroundings), {
    server: "https://[fd00::1]:443",
    caPem: "ca",
    certPem: null,
    keyPem: null,
    token: null,
    tokenFile: `${folder}/token`,
  });
});

Deno.test("readAccess: outside of a pod, or without a mounted token, it says so", async () => {
  const nowhere = { readText: reader({}), env: () => undefined, clock };
  await assert.rejects(readAccess({ inCluster: true }, nowhere), /does not run in a pod/);
  const unmounted = { ...nowhere, env: () => "1" };
  await assert.rejects(readAccess({ inCluster: true }, unmounted), /not readable/);
});
