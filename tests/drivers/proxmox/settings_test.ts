import assert from "node:assert/strict";
import { proxmoxConnection } from "../../../src/drivers/proxmox/settings.ts";

const HTTPS = {
  url: "https://pve1.site:8006",
  tokenFile: "/etc/wps/proxmox.token",
  caFile: "/etc/wps/pve-root-ca.pem",
};
const FINGERPRINT = Array.from({ length: 32 }, () => "9F").join(":");

Deno.test("proxmoxConnection: an address, a token and an authority are enough", () => {
  assert.deepEqual(proxmoxConnection.parse(HTTPS), {
    url: "https://pve1.site:8006",
    tokenFile: "/etc/wps/proxmox.token",
    caFile: "/etc/wps/pve-root-ca.pem",
    fingerprint: null,
    requestTimeoutMs: 35_000,
    taskDeadlineMs: 600_000,
    copyDeadlineMs: 7_200_000,
    parallelRequests: 8,
  });
});

Deno.test("proxmoxConnection: a fingerprint in any spelling is one; a slash at the address's end is none of its path", () => {
  for (const fingerprint of [FINGERPRINT, FINGERPRINT.replaceAll(":", ""), FINGERPRINT.toLowerCase()]) {
    const given = { ...HTTPS, url: "https://[2001:db8::1]:8006/", caFile: undefined, fingerprint };
    const { url, ...rest } = proxmoxConnection.parse(given);
    assert.deepEqual([url, rest.fingerprint], ["https://[2001:db8::1]:8006", "9f".repeat(32)]);
  }
});

for (const url of ["http://127.0.0.1:8006", "http://localhost:85", "http://[::1]:1", "http://127.1.2.3:1"]) {
  Deno.test(`proxmoxConnection: plain HTTP to this machine alone, ${url}`, () => {
    assert.equal(proxmoxConnection.safeParse({ url, tokenFile: "/t" }).success, true);
  });
}

const REFUSED: { why: string; given: object; says: RegExp }[] = [
  { why: "no address", given: { ...HTTPS, url: undefined }, says: /expected a URL/ },
  { why: "no token", given: { ...HTTPS, tokenFile: undefined }, says: /expected an absolute path/ },
  { why: "a token instead of its file", given: { ...HTTPS, token: "a@b!c=d" }, says: /unknown key/ },
  {
    why: "plain HTTP to another machine",
    given: { url: "http://pve1.site:8006", tokenFile: "/t" },
    says: /plain text/,
  },
  {
    why: "plain HTTP to what only begins like loopback",
    given: { url: "http://127.0.0.1.site:8006", tokenFile: "/t" },
    says: /plain text/,
  },
  { why: "nothing that says who the server is", given: { ...HTTPS, caFile: undefined }, says: /exactly one/ },
  {
    why: "two that say who the server is",
    given: { ...HTTPS, fingerprint: FINGERPRINT },
    says: /exactly one/,
  },
  {
    why: "a certificate where there is none",
    given: { ...HTTPS, url: "http://127.0.0.1:1" },
    says: /shows no certificate/,
  },
  {
    why: "SHA-1",
    given: { ...HTTPS, caFile: undefined, fingerprint: "9F:".repeat(19) + "9F" },
    says: /SHA-256/,
  },
  { why: "a path", given: { ...HTTPS, url: "https://pve1.site:8006/api2/json" }, says: /alone/ },
  { why: "a query", given: { ...HTTPS, url: "https://pve1.site:8006?token=x" }, says: /alone/ },
  { why: "a login in the address", given: { ...HTTPS, url: "https://root@pve1.site:8006" }, says: /alone/ },
  { why: "another scheme", given: { ...HTTPS, url: "ssh://pve1.site" }, says: /expected a URL/ },
  { why: "no request at all", given: { ...HTTPS, parallelRequests: 0 }, says: /whole number/ },
  { why: "a time without unit", given: { ...HTTPS, requestTimeout: 35 }, says: /duration/ },
];

for (const { why, given, says } of REFUSED) {
  Deno.test(`proxmoxConnection: refuses ${why}`, () => {
    const { error } = proxmoxConnection.safeParse(given);
    assert.match(error?.issues.map(({ message }) => message).join("; ") ?? "accepted", says);
  });
}
