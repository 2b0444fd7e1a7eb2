import assert from "node:assert/strict";
import { PERMISSIONS, V8_FLAGS } from "../../deploy/compile.ts";
import { overlay } from "../../src/config/environment.ts";
import { loadConfig } from "../../src/config/load.ts";
import { problemLine } from "../../src/config/problem.ts";
import { configJsonSchema } from "../../src/config/schema.ts";
import { memoryFiles } from "../config/memory_files.ts";
import { mountedSecrets, readCompose } from "./compose_file.ts";
import { readRepository } from "./repository.ts";

const TEXT = readRepository("compose.yaml");
const COMPOSE = readCompose(TEXT);
const SERVICES = Object.entries(COMPOSE.services);
const SECRETS_SCRIPT = readRepository("deploy/compose-secrets.sh");
const ENTRY = readRepository("deploy/wps.sh");
const CONTAINERFILE = readRepository("deploy/Containerfile");

/** What deploy/compose-secrets.sh puts into the files, as far as WPS reads them. */
const SECRETS: Record<string, string> = {
  "./secrets/api-key": `${"a1".repeat(24)}\n`,
  "./secrets/broker-url": `amqp://wps:${"b2".repeat(24)}@rabbitmq:5672/\n`,
  "./secrets/redis-url": `redis://:${"c3".repeat(24)}@redis:6379\n`,
};

Deno.test("readCompose: refuses what Compose would refuse or misread", () => {
  const cases: Array<[from: string, to: string, reason: string]> = [
    ["healthcheck:", "healthchek:", "a misspelt key"],
    ['WPS_LISTEN_INSECURE: "true"', "WPS_LISTEN_INSECURE: true", "a variable that is no text"],
    ["mem_limit: 128m", "mem_limit: 128", "a size without its unit"],
    [`'Deno.exit(`, `Deno.exit(`, "an unquoted ': ' makes a mapping of a word"],
    ["inside: { internal: true }", "inside: { interna: true }", "a network's misspelt key"],
  ];
  for (const [from, to, reason] of cases) {
    assert.ok(TEXT.includes(from), `compose.yaml has ${from}`);
    assert.throws(() => readCompose(TEXT.replace(from, to)), reason);
  }
});

Deno.test("compose.yaml: RabbitMQ, Redis and WPS; everything that is named exists", () => {
  assert.deepEqual(SERVICES.map(([name]) => name).sort(), ["rabbitmq", "redis", "wps"]);
  const used = (pick: (service: typeof COMPOSE.services[string]) => string[]): string[] =>
    [...new Set(SERVICES.flatMap(([, service]) => pick(service)))].sort();
  assert.deepEqual(used(({ networks }) => networks), Object.keys(COMPOSE.networks).sort());
  const volumes = used((service) => service.volumes.map((volume) => volume.split(":")[0] ?? ""));
  assert.deepEqual(volumes, Object.keys(COMPOSE.volumes).sort());
  const secrets = used((service) =>
    service.secrets.map((secret) => typeof secret === "string" ? secret : secret.source)
  );
  assert.deepEqual(secrets, Object.keys(COMPOSE.secrets).sort());
});

Deno.test("compose.yaml: what WPS is given is a whole configuration on the lab driver", async () => {
  const environment = COMPOSE.services.wps?.environment ?? {};
  assert.deepEqual(overlay({}, environment, configJsonSchema()).problems, []);
  const files = memoryFiles(Object.fromEntries(
    [...mountedSecrets(COMPOSE, "wps")].map(([inside, outside]) => [inside, SECRETS[outside] ?? ""]),
  ));
  const { config, problems } = await loadConfig({ path: null, environment, files });
  assert.ok(config !== null, problems.map(problemLine).join("\n"));
  assert.ok(config.drivers.lab !== null);
  assert.equal(config.broker?.url, SECRETS["./secrets/broker-url"]?.trim());
  assert.equal(config.redis?.url, SECRETS["./secrets/redis-url"]?.trim());
  const kept = COMPOSE.services.wps?.volumes.map((volume) => volume.split(":")[1]);
  assert.deepEqual(kept, [config.state.directory, config.keys.directory], "both outlive the container");
  const folder = config.listen.socket.replace(/\/[^/]+$/, "");
  assert.ok(
    COMPOSE.services.wps?.tmpfs.some((mount) => mount.startsWith(`${folder}:`)),
    "the socket's folder",
  );
});

Deno.test("compose.yaml: broker and cache are called by the names that the URLs have", () => {
  for (const url of [SECRETS["./secrets/broker-url"], SECRETS["./secrets/redis-url"]]) {
    const { hostname } = new URL(url ?? "");
    assert.ok(hostname in COMPOSE.services, hostname);
    assert.ok(SECRETS_SCRIPT.includes(`@${hostname}:`), `${hostname} in deploy/compose-secrets.sh`);
  }
});

Deno.test("compose.yaml: nothing is reached from other machines", () => {
  for (const [service, { ports }] of SERVICES) {
    for (const port of ports) assert.match(port, /^127\.0\.0\.1:\d+:\d+$/, `${service}: ${port}`);
  }
  assert.deepEqual(COMPOSE.services.redis?.ports, []);
  assert.deepEqual(COMPOSE.services.redis?.networks, ["inside"]);
  assert.deepEqual(COMPOSE.networks.inside, { internal: true });
});

Deno.test("compose.yaml: no password stands in it, and none has a default", () => {
  const named = SERVICES.flatMap(([, { environment }]) => Object.keys(environment))
    .filter((name) => /PASS|SECRET|TOKEN|KEY|URL|USER/.test(name));
  for (const name of named) assert.match(name, /_FILE$/, `${name} is read from a file`);
  assert.doesNotMatch(TEXT, /:\/\/[^\s/]*:[^\s/]*@/, "a URL with a password");
  assert.doesNotMatch(TEXT, /\$\{[^}]*:?-/, "a variable with a default");
  for (const { file } of Object.values(COMPOSE.secrets)) {
    assert.match(file, /^\.\/secrets\//);
    assert.ok(SECRETS_SCRIPT.includes(`> ${file.slice(2).replace("secrets/", "secrets.new/")}`), file);
  }
  assert.match(readRepository(".gitignore"), /^\/secrets\/$/m);
  const [all, ...sent] = readRepository(".dockerignore").split("\n").filter((line) => /^[^#]/.test(line));
  assert.equal(all, "*", "the image is built from what is named, secrets are not");
  const copied = [...CONTAINERFILE.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((
    [, names = ""],
  ) => names.split(" "));
  assert.deepEqual(sent.sort(), copied.map((name) => `!${name}`).sort());
});

Deno.test("compose.yaml: each container can do little, and says whether it is well", () => {
  for (const [name, service] of SERVICES) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    assert.ok(
      service.user !== undefined || service.build !== undefined,
      `${name} runs as somebody else than root`,
    );
    assert.ok(service.healthcheck.test.length > 1, name);
  }
  assert.match(CONTAINERFILE, /^USER 10001:10001$/m);
  assert.match(
    CONTAINERFILE,
    /^COPY LICENSE \/usr\/share\/doc\/wps\/LICENSE$/m,
    "the licence goes with the program",
  );
  assert.match(COMPOSE.services.wps?.tmpfs[0] ?? "", /uid=10001,gid=10001/);
  assert.match(COMPOSE.services.wps?.healthcheck.test.at(-1) ?? "", /127\.0\.0\.1:8080\/readyz/);
});

Deno.test("compose.yaml, deploy/Containerfile: images are pinned by a whole version", () => {
  const bases = [...CONTAINERFILE.matchAll(/^FROM (\S+)/gm)].map(([, base = ""]) => base);
  for (const image of [...SERVICES.map(([, service]) => service.image), ...bases]) {
    const tag = /:([^:/@]+)$/.exec(image)?.[1] ?? "";
    assert.match(tag, /^(\d+\.\d+\.\d+|bookworm-\d{8})\b/, image);
  }
  const { version } = JSON.parse(readRepository("deno.json"));
  assert.equal(COMPOSE.services.wps?.image, `localhost/wps/wps:${version}`);
  const deno = /deno@(\d+\.\d+\.\d+)/;
  assert.equal(
    deno.exec(CONTAINERFILE)?.[1],
    deno.exec(readRepository(".ci/run"))?.[1],
    "one Deno everywhere",
  );
});

Deno.test("deploy/wps.sh: asks for what the executable asks for, and fetches nothing", () => {
  const [, ...words] = ENTRY.replaceAll("\\\n", " ").split("\n").at(-2)?.split(/ +/) ?? [];
  const permissions = words.filter((word) => /^--(allow|no-prompt)/.test(word));
  assert.deepEqual(permissions, [...PERMISSIONS]);
  assert.ok(words.includes("--cached-only") && words.includes("--frozen") && words.includes(V8_FLAGS));
  assert.equal(words.at(-2), `${/^WORKDIR \/out(\S+)$/m.exec(CONTAINERFILE)?.[1]}/main.ts`);
});
