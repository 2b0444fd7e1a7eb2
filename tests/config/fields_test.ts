import assert from "node:assert/strict";
import type { z } from "zod";
import {
  cidr,
  cpu,
  duration,
  durationText,
  isHostName,
  parseHostPort,
  size,
} from "../../src/config/fields.ts";

/** Value → what it is read as; null: refused. */
type Table = [given: unknown, expected: unknown][];

async function expectTable(test: Deno.TestContext, schema: z.ZodType, table: Table): Promise<void> {
  for (const [given, expected] of table) {
    await test.step(String(given), () => {
      const result = schema.safeParse(given);
      assert.deepEqual(result.success ? result.data : null, expected);
    });
  }
}

Deno.test("duration: text with a unit into milliseconds", (test) =>
  expectTable(test, duration(0, 86_400_000), [
    ["250ms", 250],
    ["30s", 30_000],
    ["10m", 600_000],
    ["24h", 86_400_000],
    ["1d", 86_400_000],
    ["0s", 0],
    ["25h", null],
    ["10", null],
    [10, null],
    ["10 m", null],
    ["-1s", null],
    ["1.5h", null],
    ["1h30m", null],
    ["10M", null],
    ["1e3s", null],
  ]));

Deno.test("durationText: the shortest text that says it", () => {
  const cases: [ms: number, text: string][] = [
    [0, "0ms"],
    [250, "250ms"],
    [1500, "1500ms"],
    [30_000, "30s"],
    [600_000, "10m"],
    [5_400_000, "90m"],
    [86_400_000, "1d"],
  ];
  for (const [ms, text] of cases) assert.equal(durationText(ms), text);
});

Deno.test("size: Kubernetes quantities of storage and memory", (test) =>
  expectTable(test, size(), [
    ["20Gi", "20Gi"],
    ["1.5Ti", "1.5Ti"],
    ["500M", "500M"],
    ["20", null],
    [20, null],
    ["0Gi", null],
    ["20GB", null],
    ["20 Gi", null],
    ["-1Gi", null],
  ]));

Deno.test("cpu: Kubernetes quantities of processors", (test) =>
  expectTable(test, cpu(), [
    [4, "4"],
    [0.5, "0.5"],
    ["4", "4"],
    ["2.5", "2.5"],
    ["500m", "500m"],
    [0, null],
    ["0", null],
    ["0.0", null],
    [-1, null],
    [2000, null],
    ["4 cores", null],
  ]));

Deno.test("cidr: one range, in canonical text, never everything", (test) =>
  expectTable(test, cidr(), [
    ["10.0.0.5/32", "10.0.0.5/32"],
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["FD00::5/128", "fd00::5/128"],
    ["0.0.0.0/0", null],
    ["::/0", null],
    ["10.0.0.5", null],
    ["10.0.0.5/8", null],
    ["10.0.0.256/32", null],
    ["example.org/32", null],
  ]));

Deno.test("parseHostPort: an address and a port; names only where asked", () => {
  const cases: [text: string, names: boolean, expected: unknown][] = [
    ["127.0.0.1:8080", false, { host: "127.0.0.1", port: 8080 }],
    ["[::1]:8080", false, { host: "::1", port: 8080 }],
    ["localhost:8080", true, { host: "localhost", port: 8080 }],
    ["127.0.0.1:0", false, { host: "127.0.0.1", port: 0 }],
    ["localhost:8080", false, null],
    ["::1:8080", true, null],
    ["127.0.0.1:65536", true, null],
    ["127.0.0.1", true, null],
    ["127.0.0.300:80", true, null],
    ["[127.0.0.1]:80", true, null],
    ["[example]:80", true, null],
    ["a_b:80", true, null],
    [":80", true, null],
  ];
  for (const [text, names, expected] of cases) assert.deepEqual(parseHostPort(text, names), expected, text);
});

Deno.test("isHostName: DNS names, not what resembles an address", () => {
  const cases: [host: string, expected: boolean][] = [
    ["broker", true],
    ["broker.site.example", true],
    ["1and1.example", true],
    ["10.0.0.300", false],
    ["-x", false],
    ["x-", false],
    ["a..b", false],
    ["", false],
    [`${"a".repeat(64)}.example`, false],
  ];
  for (const [host, expected] of cases) assert.equal(isHostName(host), expected, host);
});
