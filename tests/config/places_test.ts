import assert from "node:assert/strict";
import { inspectPlaces, type Place, type SecretPlaces } from "../../src/config/places.ts";

const FOLDER: Place = { kind: "folder", mode: 0o700, isWritable: true };
const KEY: Place = { kind: "file", mode: 0o600, isWritable: true };
const SHARED: Place = { kind: "file", mode: 0o640, isWritable: false };
const OPEN: Place = { ...SHARED, mode: 0o644 };
const GOOD: Readonly<Record<string, Place>> = {
  "/": { kind: "folder", mode: 0o755, isWritable: false },
  "/var/wps": FOLDER,
  "/keys": FOLDER,
  "/keys/seal.key": KEY,
  "/keys/site-ed25519.key": KEY,
  "/run/wps": FOLDER,
  "/secret": SHARED,
  "/tls.key": SHARED,
  "/wps.yaml": SHARED,
  "/kubeconfig": SHARED,
};
const CONFIG = {
  state: { directory: "/var/wps" },
  keys: { directory: "/keys" },
  listen: {
    socket: "/run/wps/wps.sock",
    http: null,
    tls: { certFile: "/tls.crt", keyFile: "/tls.key" },
    insecure: false,
  },
};
const SECRETS: SecretPlaces = {
  inlineSecrets: ["broker.url", "redis.url"],
  secretFiles: new Map([["api.keyFile", "/secret"]]),
  credentialFiles: [{ what: "the kubeconfig", path: "/kubeconfig" }],
};

async function found(
  change: Record<string, Place | null>,
  secrets = SECRETS,
): Promise<{ problems: string[]; warnings: string[] }> {
  const places: Record<string, Place | null | undefined> = { ...GOOD, ...change };
  const { problems, warnings } = await inspectPlaces(
    CONFIG,
    secrets,
    "/wps.yaml",
    (path) => Promise.resolve(places[path] ?? null),
  );
  const text = ({ key, message }: { key: string; message: string }): string => `${key}: ${message}`;
  return { problems: problems.map(text), warnings: warnings.map(text) };
}

Deno.test("inspectPlaces: nothing to say of a site that is as it should be", async () => {
  assert.deepEqual(await found({}), { problems: [], warnings: [] });
  assert.deepEqual(
    await found({ "/keys/seal.key": null }),
    { problems: [], warnings: [] },
    "WPS makes the key",
  );
  const aboutToBeMade = { "/var/wps": null, "/var": FOLDER };
  assert.deepEqual(await found(aboutToBeMade), { problems: [], warnings: [] }, "WPS makes its state folder");
});

Deno.test("inspectPlaces: what keeps the service from starting, with what to do", async () => {
  const cases: [why: string, change: Record<string, Place | null>, expected: RegExp][] = [
    [
      "no keys folder",
      { "/keys": null },
      /^keys\.directory: the folder \/keys does not exist: run install -d -m 0700/,
    ],
    ["a file in its place", { "/keys": KEY }, /^keys\.directory: \/keys is not a folder$/],
    ["a key that others read", { "/keys/seal.key": { ...KEY, mode: 0o644 } }, /mode 0644\): run chmod 600 /],
    [
      "a signing key that others read",
      { "/keys/site-ed25519.key": { ...KEY, mode: 0o640 } },
      /^keys\.directory: .*site-ed25519\.key \(mode 0640\): run chmod 600 /,
    ],
    [
      "passwords in a configuration that everybody reads",
      { "/wps.yaml": OPEN },
      /^broker\.url, redis\.url: everybody .*\(mode 0644\): use broker\.urlFile, redis\.urlFile instead, or run chmod 640 \/wps\.yaml/,
    ],
    [
      "a kubeconfig with a token that everybody reads",
      { "/kubeconfig": OPEN },
      /^drivers\.kubernetes\.kubeconfig: everybody .* the kubeconfig \/kubeconfig \(mode 0644\): run chmod 640 /,
    ],
    [
      "keys that others exchange",
      { "/keys": { ...FOLDER, mode: 0o770 } },
      /mode 0770\): run chmod 700 \/keys$/,
    ],
    [
      "no key, and no way to make one",
      { "/keys/seal.key": null, "/keys": { ...FOLDER, isWritable: false } },
      /cannot make seal\.key in \/keys: give it to the service's user/,
    ],
    [
      "state that cannot be made",
      { "/var/wps": null },
      /^state\.directory: .* does not exist, and this user cannot make it/,
    ],
    [
      "state of somebody else",
      { "/var/wps": { ...FOLDER, isWritable: false } },
      /^state\.directory: this user cannot write/,
    ],
    ["a file in the state's place", { "/var/wps": KEY }, /^state\.directory: \/var\/wps is not a folder$/],
    [
      "a socket folder of somebody else",
      { "/run/wps": { ...FOLDER, isWritable: false } },
      /^listen\.socket: this user cannot write/,
    ],
    [
      "a file in the socket folder's place",
      { "/run/wps": KEY },
      /^listen\.socket: \/run\/wps is not a folder$/,
    ],
  ];
  for (const [why, change, expected] of cases) {
    const { problems, warnings } = await found(change);
    assert.equal(problems.length, 1, why);
    assert.match(problems[0] ?? "", expected, why);
    assert.deepEqual(warnings, [], why);
  }
});

Deno.test("inspectPlaces: a configuration without a secret may be read by everybody", async () => {
  const none: SecretPlaces = { ...SECRETS, inlineSecrets: [] };
  assert.deepEqual(await found({ "/wps.yaml": OPEN }, none), { problems: [], warnings: [] });
});

Deno.test("inspectPlaces: what may be mended by others before the start is only a warning", async () => {
  const cases: [why: string, change: Record<string, Place | null>, expected: RegExp][] = [
    ["a socket folder that a supervisor makes", { "/run/wps": null }, /^listen\.socket: .*RuntimeDirectory=/],
    [
      "a secret that everybody reads, as in many containers",
      { "/secret": { kind: "file", mode: 0o644, isWritable: false } },
      /^api\.keyFile: everybody .* \(mode 0644\): run chmod 640 \/secret/,
    ],
    [
      "the TLS key, which containers get the same way",
      { "/tls.key": OPEN },
      /^listen\.tls\.keyFile: everybody .* \(mode 0644\): run chmod 640 \/tls\.key/,
    ],
  ];
  for (const [why, change, expected] of cases) {
    const { problems, warnings } = await found(change);
    assert.deepEqual([problems, warnings.length], [[], 1], why);
    assert.match(warnings[0] ?? "", expected, why);
  }
});
