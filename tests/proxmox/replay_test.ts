import assert from "node:assert/strict";
import { compareReply } from "./replay/compare.ts";
import { Bindings } from "./replay/placeholders.ts";
import { type Played, playFlow } from "./replay/player.ts";
import { type Exchange, readFlows } from "./replay/recordings.ts";
import { SCENES } from "./replay/scenes.ts";
import { loadSchema } from "./schema/schema.ts";
import type { ApiReply } from "./wire/reply.ts";

/**
 * Exchanges that the double answers otherwise than the real server did, as `flow[number]`, each with the reason why that
 * is right. One that is not listed fails the test, and so does one that is listed and does not differ.
 */
const DIFFERENCES: Readonly<Record<string, string>> = {};

/** What issue 5 asks for at least. */
const MATCHED_SHARE_MIN = 0.95;

/** Of the whole file, so that none gets lost on the way. */
const RECORDED = 987;

const nameOf = ({ flow, index }: Played): string => `${flow}[${index}]`;

Deno.test("replay: the double answers every recorded request as the real server did", async (t) => {
  const flows = readFlows();
  const schema = loadSchema();
  const played: Played[] = [];
  for (const flow of flows) {
    await t.step(`${flow.flow}: ${flow.purpose}`, async () => {
      const exchanges = await playFlow(flow, schema);
      played.push(...exchanges);
      const wrong = exchanges.filter((exchange) => {
        return exchange.differences.length > 0 && DIFFERENCES[nameOf(exchange)] === undefined;
      });
      const lines = wrong.map((exchange) => {
        const { as, method, path } = exchange.exchange;
        return [`${nameOf(exchange)} ${as} ${method} ${path}`, ...exchange.differences].join("\n    ");
      });
      assert.equal(lines.join("\n"), "", "every difference has a reason");
    });
  }
  const differing = played.filter(({ differences }) => differences.length > 0);
  const matched = played.length - differing.length;
  console.log(`Proxmox replay: ${matched}/${played.length} exchanges matched`);
  for (const exchange of differing) {
    console.log(`  ${nameOf(exchange)}: ${DIFFERENCES[nameOf(exchange)] ?? "no reason"}`);
  }
  assert.equal(played.length, RECORDED, "all recorded exchanges were played");
  assert.ok(matched / played.length >= MATCHED_SHARE_MIN, `${matched} of ${played.length} matched`);
  const names = new Set(differing.map(nameOf));
  const idle = Object.keys(DIFFERENCES).filter((name) => !names.has(name));
  assert.deepEqual(idle, [], "a reason for what does not differ any more");
});

Deno.test("SCENES: each belongs to a flow", () => {
  const flows = new Set(readFlows().map(({ flow }) => flow));
  assert.deepEqual(Object.keys(SCENES).filter((name) => !flows.has(name)), []);
});

const UPID = "UPID:pve1:00001000:00002000:69220000:qmstart:40000:prov@pve!t0:";
const OTHER_UPID = "UPID:pve1:00001001:00002000:69220000:qmstart:40000:prov@pve!t0:";

function bindings(): Bindings {
  const task = { type: "qmstart", id: "{{vmid:a}}", user: "prov@pve!t0" };
  return new Bindings({ "1": task, "2": { ...task, type: "qmstop" } }, [["vmid:a", "40000"]]);
}

/** A recorded answer and one that was given, both around the same body unless said otherwise. */
function differencesOf(
  recorded: Partial<Exchange> & { response: unknown },
  given: Partial<Omit<ApiReply, "body">> & { body: unknown },
): string[] {
  const exchange: Exchange = {
    method: "GET",
    path: "/version",
    as: "broad",
    status: 200,
    reason: "OK",
    contentType: "application/json;charset=UTF-8",
    ...recorded,
  };
  const reply = {
    status: exchange.status,
    reason: exchange.reason,
    contentType: exchange.contentType,
    ...given,
  };
  return compareReply(exchange, { ...reply, body: JSON.stringify(given.body) }, bindings());
}

function comparisons(): Array<[string, string[], RegExp | undefined]> {
  const data = { data: { status: "running", cores: 1, list: ["a", "b"], size: null } };
  return [
    ["the same", differencesOf({ response: data }, { body: data }), undefined],
    [
      "status",
      differencesOf({ response: data }, { body: data, status: 500 }),
      /status: recorded 200, got 500/,
    ],
    [
      "reason",
      differencesOf({ response: data, reason: "VM {{vmid:a}}" }, { body: data, reason: "VM 1" }),
      /reason/,
    ],
    ["content type", differencesOf({ response: data }, { body: data, contentType: null }), /content type/],
    ["a value", differencesOf({ response: data }, { body: { data: { ...data.data, cores: 2 } } }), /\.cores/],
    [
      "a type",
      differencesOf({ response: data }, { body: { data: { ...data.data, cores: "1" } } }),
      /\.cores/,
    ],
    [
      "a missing key",
      differencesOf({ response: data }, { body: { data: { status: "running" } } }),
      /missing/,
    ],
    ["a further key", differencesOf({ response: data }, { body: { ...data, total: 1 } }), /not recorded/],
    [
      "order",
      differencesOf({ response: data }, { body: { data: { ...data.data, list: ["b", "a"] } } }),
      /list\[0\]/,
    ],
    ["null", differencesOf({ response: data }, { body: { data: { ...data.data, size: 0 } } }), /\.size/],
    [
      "a message's line break",
      differencesOf({ response: { message: "no\n" } }, { body: { message: "no" } }),
      /message/,
    ],
    [
      "a number for another placeholder",
      differencesOf({ response: { data: "{{#int}}" } }, { body: { data: "1" } }),
      /\.data/,
    ],
    [
      "another VM",
      differencesOf({ response: { data: "{{#vmid:a}}" } }, { body: { data: 40001 } }),
      /\.data/,
    ],
    [
      "a task of another type",
      differencesOf({ response: { data: "{{upid:2}}" } }, { body: { data: UPID } }),
      /\.data/,
    ],
    [
      "one value under two numbers",
      differencesOf({ response: ["{{uuid:1}} {{uuid:2}}"] }, {
        body: [Array(2).fill("01234567-89ab-4cde-8f01-23456789abcd").join(" ")],
      }),
      /\[0\]/,
    ],
    [
      "two values under one number",
      differencesOf({ response: ["{{upid:1}}", "{{upid:1}}"] }, { body: [UPID, OTHER_UPID] }),
      /\[1\]/,
    ],
    [
      "the order of a list of VMs is accidental",
      differencesOf({ path: "/nodes/pve1/qemu", response: { data: [1, 2] } }, { body: { data: [2, 1] } }),
      undefined,
    ],
    [
      "but not its entries",
      differencesOf({ path: "/nodes/pve1/qemu", response: { data: [1, 2] } }, { body: { data: [2, 2] } }),
      /nearest/,
    ],
  ];
}

Deno.test("compareReply: notices whatever is not as recorded", () => {
  for (const [reason, differences, expected] of comparisons()) {
    if (expected === undefined) assert.deepEqual(differences, [], reason);
    else assert.match(differences.join("\n"), expected, reason);
  }
});
