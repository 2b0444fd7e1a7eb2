import assert from "node:assert/strict";
import fc from "fast-check";
import type { PermitEvent } from "../../src/core/event.ts";
import type { EventEffect } from "../../src/core/merge.ts";
import type { RawMessage } from "../../src/intake/envelope.ts";
import { decodeJson } from "../../src/intake/json.ts";
import { jsonFaultAt } from "../../src/intake/json_fault.ts";
import { parseMessage, type Rejected } from "../../src/intake/message.ts";
import { shortName } from "../../src/intake/text.ts";
import { SeededRandom } from "../seeded_random.ts";
import { canonical, ed25519Key, holder, rawMessage } from "./messages.ts";

const EFFECTS: Record<string, EventEffect> = {
  "permit.status.updated": "set",
  "permit.ingress.initiated": "open-ingress",
  "permit.workspace.stop_requested": "stop",
  "permit.halted": "halt",
  "permit.deleted": "destroy",
};
const effect = (type: string): EventEffect | null => EFFECTS[type] ?? null;

function event(raw: RawMessage): PermitEvent {
  const parsed = parseMessage(raw, effect);
  if (parsed.kind !== "event") throw new Error(`rejected: ${JSON.stringify(parsed.errors)}`);
  return parsed.event;
}

function rejection(raw: RawMessage): Rejected {
  const parsed = parseMessage(raw, effect);
  if (parsed.kind !== "rejected") throw new Error(`taken: ${JSON.stringify(parsed.event)}`);
  return parsed;
}

const paths = (raw: RawMessage): string[] => rejection(raw).errors.map(({ path }) => path);

Deno.test("parseMessage: canonical JSON gives every field, time in UTC, source by default", () => {
  const taken = event(rawMessage(canonical({ time: "2026-11-22T12:00:00.120000500+02:00" })));
  assert.match(taken.bodyHash, /^[0-9a-f]{64}$/);
  assert.deepEqual({ ...taken, bodyHash: "" }, {
    source: "permit-manager",
    id: "evt-0192",
    type: "permit.status.updated",
    permitId: "permit-001",
    time: "2026-11-22T10:00:00.1200005Z",
    revision: 7,
    update: {
      status: "ANALYSIS_ACTIVE",
      expiresAt: "2027-06-30T00:00:00.000Z",
      tier: "standard",
      dataHolders: [{
        id: "hospital-a",
        username: "hospital-a",
        allowedCidrs: ["203.0.113.7/32"],
        sshPublicKeys: [ed25519Key()],
      }],
      preprocessor: { username: "m.keller" },
      reviewer: { username: "a.rossi" },
      setupReviewer: { username: "a.rossi" },
      researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }],
    },
    bodyHash: "",
  });
});

Deno.test("parseMessage: the minimal form takes its type from the routing key and its id from the message id", () => {
  const raw = rawMessage({ permitId: "permit-001", status: "ARCHIVED" }, {
    routingKey: "permit.status.updated",
    messageId: "m-1",
    contentType: null,
  });
  const { type, id, permitId, update, revision, time } = event(raw);
  assert.deepEqual({ type, id, permitId, update, revision, time }, {
    type: "permit.status.updated",
    id: "m-1",
    permitId: "permit-001",
    update: { status: "ARCHIVED" },
    revision: null,
    time: null,
  });
});

Deno.test("parseMessage: what the body says of type and id goes before routing key and message id", () => {
  const taken = event(rawMessage(canonical(), { routingKey: "permit.deleted", messageId: "other" }));
  assert.deepEqual([taken.type, taken.id], ["permit.status.updated", "evt-0192"]);
});

Deno.test("parseMessage: every form of one event has the same identity, fields and body hash", () => {
  const source = "urn:pm";
  const { id, type, time, permitId, revision, data } = canonical();
  const attributes = { specversion: "1.0", id, source, type, time };
  const headers = (prefix: string): Record<string, unknown> =>
    Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`${prefix}${name}`, value]));
  const inner = { permitId, revision, ...(data as Record<string, unknown>) };
  const encoded = btoa(JSON.stringify(inner));
  const structured = { contentType: "application/cloudevents+json; charset=utf-8" };
  const forms: [string, RawMessage][] = [
    ["canonical", rawMessage(canonical({ source }))],
    [
      "canonical with the id beside",
      rawMessage(canonical({ source, id: undefined }), { messageId: "evt-0192" }),
    ],
    [
      "minimal",
      rawMessage({ ...inner, time, source }, { messageId: "evt-0192", routingKey: "permit.status.updated" }),
    ],
    ["structured", rawMessage({ ...attributes, data: inner }, structured)],
    ["structured without its content type", rawMessage({ ...attributes, data: inner })],
    ["structured, data_base64", rawMessage({ ...attributes, data_base64: encoded }, structured)],
    [
      "structured around the canonical form",
      rawMessage({ ...attributes, data: { permitId, revision, data } }, structured),
    ],
    ["structured, extensions", rawMessage({ ...attributes, permitid: permitId, revision, data }, structured)],
    ["structured, subject", rawMessage({ ...attributes, subject: permitId, revision, data }, structured)],
    ["AMQP binary", rawMessage(inner, { headers: headers("cloudEvents:") })],
    ["AMQP binary, JMS spelling", rawMessage(inner, { headers: headers("cloudEvents_") })],
    [
      "AMQP binary, typed time",
      rawMessage(inner, {
        headers: { ...headers("cloudEvents:"), "cloudEvents:time": { "!": "timestamp", value: 1795341600 } },
      }),
    ],
    [
      "HTTP binary",
      rawMessage(data, {
        headers: {
          ...headers("ce-"),
          "ce-source": "urn%3Apm",
          "ce-subject": "permit-001",
          "ce-revision": "7",
        },
      }),
    ],
  ];
  const expected = event(forms[0]?.[1] ?? rawMessage(""));
  for (const [form, raw] of forms) assert.deepEqual(event(raw), expected, form);
});

Deno.test("parseMessage: a CloudEvent without data can delete", () => {
  const headers = {
    "cloudEvents:specversion": "1.0",
    "cloudEvents:id": "1",
    "cloudEvents:source": "s",
    "cloudEvents:type": "permit.deleted",
    "cloudEvents:subject": "permit-001",
  };
  assert.equal(event(rawMessage("", { headers })).permitId, "permit-001");
});

Deno.test("parseMessage: types of other services are events of that type, whatever their shape", () => {
  const cases: [string, unknown, string][] = [
    ["their own data shape", {
      id: "x",
      type: "permit.analysis.approved",
      permitId: "p",
      data: { researchers: ["a"] },
    }, "p"],
    ["no permit at all", { type: "permit.analysis.approved" }, ""],
    ["a permit id that is none", { type: "permit.egress.rework_requested", permitId: 5 }, ""],
    ["a time that is none", { type: "permit.setup.approved", permitId: "p", time: "soon" }, "p"],
  ];
  for (const [why, body, permitId] of cases) {
    const taken = event(rawMessage(body));
    assert.deepEqual([taken.permitId, taken.update], [permitId, {}], why);
  }
});

Deno.test("parseMessage: unknown members change nothing but the hash of data", () => {
  const plain = event(rawMessage(canonical()));
  const outside = event(rawMessage(canonical({ comment: "a\u0000b", priority: 1e308 })));
  assert.deepEqual(outside, plain);
  const inside = event(rawMessage(canonical({}, { ethics: { board: "x" } })));
  assert.deepEqual(inside.update, plain.update);
  assert.notEqual(inside.bodyHash, plain.bodyHash);
});

Deno.test("parseMessage: null in the envelope means not given, expiresAt null clears", () => {
  const taken = event(
    rawMessage(canonical({ id: null, source: null, time: null, revision: null }, { expiresAt: null })),
  );
  assert.deepEqual([taken.id, taken.source, taken.time, taken.revision, taken.update.expiresAt], [
    null,
    "permit-manager",
    null,
    null,
    null,
  ]);
});

Deno.test("parseMessage: fields beside data are taken, unless they contradict it", () => {
  const both = event(
    rawMessage(canonical({ status: "ANALYSIS_ACTIVE", researchers: [] }, { researchers: [] })),
  );
  assert.deepEqual(both.update.researchers, []);
  assert.equal(
    event(rawMessage({ ...canonical({ data: {} }), status: "ARCHIVED" })).update.status,
    "ARCHIVED",
  );
  assert.deepEqual(paths(rawMessage(canonical({ status: "ARCHIVED" }))), ["data.status"]);
});

Deno.test("parseMessage: nothing in the data of a halt or a deletion stands in its way", () => {
  for (const type of ["permit.halted", "permit.deleted"]) {
    for (const data of [{ status: "DELETED", researchers: 5 }, "x", null, undefined, [1]]) {
      assert.deepEqual(
        event(rawMessage(canonical({ type, data }))).update,
        {},
        `${type} ${JSON.stringify(data)}`,
      );
    }
  }
});

Deno.test("parseMessage: keys of Object.prototype are members like any other", () => {
  const text = JSON.stringify(canonical()).replace(
    "{",
    '{"__proto__":{"permitId":"evil","status":"X"},"constructor":1,',
  )
    .replace('"data":{', '"data":{"__proto__":{"tier":"root"},"toString":"x",');
  const taken = event(rawMessage(text));
  assert.deepEqual([taken.permitId, taken.update.tier], ["permit-001", "standard"]);
  assert.equal(({} as Record<string, unknown>)["tier"], undefined);
  const inherited = '{"type":"permit.status.updated","__proto__":{"permitId":"p"},"data":{"status":"X"}}';
  assert.deepEqual(paths(rawMessage(inherited)), ["permitId"]);
});

Deno.test("parseMessage: numbers beyond 2^53 are harmless where ignored, refused where used", () => {
  const big =
    '{"type":"permit.status.updated","permitId":"p","x":123456789012345678901234567890,"data":{"status":"X"}}';
  assert.equal(event(rawMessage(big)).permitId, "p");
  for (const revision of ["9007199254740993", "1e400", "-1", "1.5", '"7"', "true"]) {
    assert.deepEqual(
      paths(
        rawMessage(
          `{"type":"permit.status.updated","permitId":"p","revision":${revision},"data":{"status":"X"}}`,
        ),
      ),
      ["revision"],
      revision,
    );
  }
});

Deno.test("jsonFaultAt: stands exactly where the engine stumbles, and finds no fault in JSON", () => {
  const pieces = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"a"',
    '"\\u00e9\\n"',
    "-1.5e3",
    "true",
    "null",
    " ",
    "\n",
    "01",
    "x",
    '"\\q"',
  ];
  const random = new SeededRandom("json faults");
  let valid = 0;
  for (let round = 0; round < 20_000; round++) {
    const length = 1 + Math.floor(random.next() * 7);
    const text = Array.from({ length }, () => pieces[Math.floor(random.next() * pieces.length)]).join("");
    const message = engineFault(text);
    if (message === null) valid++;
    const at = jsonFaultAt(text);
    if (message === null) assert.equal(at, text.length, text);
    const position = /at position (\d+)/.exec(message ?? "")?.[1];
    if (position !== undefined) assert.equal(at, Number(position), `${text}: ${message}`);
    if (message?.includes("end of JSON")) assert.equal(at, text.length, `${text}: ${message}`);
    if (message !== null && position === undefined && !message.includes("end of JSON")) {
      assert.ok(at < text.length, `${text}: ${message}`);
    }
  }
  assert.ok(valid > 100, `${valid} were JSON`);
});

function engineFault(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (thrown) {
    return String(thrown);
  }
}

const deep = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

Deno.test("parseMessage: each bad body is refused with its reason", () => {
  const big = new Uint8Array(1024 * 1024 + 1).fill(0x20);
  const cases: [string, RawMessage, RegExp][] = [
    ["empty", rawMessage(""), /^is empty/],
    ["not JSON", rawMessage("{status:1}"), /^is not JSON: unexpected "s" at line 1, column 2$/],
    [
      "cut JSON",
      rawMessage('{"type":"permit.deleted"'),
      /^is not JSON: it ends too early, at line 1, column 25$/,
    ],
    ["two documents", rawMessage("{}{}"), /^is not JSON: unexpected "{" at line 1, column 3$/],
    [
      "a comma too many",
      rawMessage('{\n  "data": [1, 2,]\n}'),
      /^is not JSON: unexpected "]" at line 2, column 17$/,
    ],
    ["not UTF-8", rawMessage(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])), /UTF-8/],
    ["UTF-16", rawMessage(new Uint8Array([0xff, 0xfe, 0x7b, 0x00])), /UTF-8/],
    ["over 1 MiB", rawMessage(big), /longer than 1048576 bytes/],
    ["over 1 MiB of nesting", rawMessage(deep(600_000)), /bytes/],
    ["nested", rawMessage(`{"x":${deep(32)}}`), /deeper than 32/],
    ["nested 300,000 deep", rawMessage(deep(300_000)), /deeper than 32/],
    ["a list", rawMessage("[]"), /expected an object/],
    ["null", rawMessage("null"), /expected an object, got null/],
    ["a string", rawMessage('"permit.deleted"'), /expected an object/],
    ["compressed", rawMessage(canonical(), { contentEncoding: "gzip" }), /"gzip" is not accepted/],
    [
      "batch",
      rawMessage([canonical()], { contentType: "application/cloudevents-batch+json" }),
      /one event at a time/,
    ],
  ];
  for (const [why, raw, message] of cases) {
    const { errors, permitId } = rejection(raw);
    assert.equal(errors.length, 1, why);
    assert.match(errors[0]?.message ?? "", message, why);
    assert.equal(permitId, null, why);
  }
});

Deno.test("parseMessage: brackets in strings are not nesting, 32 levels are taken", () => {
  const text = JSON.stringify(canonical({ note: `"\\"${"[{".repeat(100)}` }));
  assert.equal(event(rawMessage(text)).permitId, "permit-001");
  assert.equal(event(rawMessage(canonical({ x: JSON.parse(deep(31)) }))).permitId, "permit-001");
});

Deno.test("parseMessage: each bad envelope member is named", () => {
  const cases: [string, Record<string, unknown>, string][] = [
    ["no permit id", { permitId: undefined }, "permitId"],
    ["permit id null", { permitId: null }, "permitId"],
    ["permit id a number", { permitId: 1 }, "permitId"],
    ["permit id an object", { permitId: { toString: "x" } }, "permitId"],
    ["permit id empty", { permitId: "" }, "permitId"],
    ["permit id blank", { permitId: "  " }, "permitId"],
    ["permit id too long", { permitId: "x".repeat(257) }, "permitId"],
    ["permit id with a line break", { permitId: "a\nb" }, "permitId"],
    ["permit id with a terminal escape", { permitId: "a\u001b[2Jb" }, "permitId"],
    ["permit id with C1 control", { permitId: "a\u009bb" }, "permitId"],
    ["permit id reversed on a terminal", { permitId: "a\u202eb" }, "permitId"],
    ["permit id half a character", { permitId: "a\ud800" }, "permitId"],
    ["id a number", { id: 5 }, "id"],
    ["id empty", { id: "" }, "id"],
    ["id too long", { id: "x".repeat(256) }, "id"],
    ["source a list", { source: [] }, "source"],
    ["type missing, no routing key", { type: undefined }, "type"],
    ["type a number", { type: 5 }, "type"],
    ["time no date", { time: "yesterday" }, "time"],
    ["time without zone", { time: "2026-11-22T10:00:00" }, "time"],
    ["time a number", { time: 1795341600 }, "time"],
    ["data a list", { data: [] }, "data"],
    ["data text", { data: "x" }, "data"],
    ["nothing said", { data: {} }, "data.status"],
    ["data null, nothing beside", { data: null }, "data.status"],
  ];
  for (const [why, overrides, path] of cases) {
    assert.deepEqual(paths(rawMessage(canonical(overrides))), [path], why);
  }
});

Deno.test("parseMessage: a permit id is arbitrary text otherwise", () => {
  for (
    const permitId of [
      "../../etc",
      "a/b?c#d",
      "患者-7",
      "é",
      "P 1",
      "__proto__",
      "-rf",
      "%00",
      "x".repeat(256),
    ]
  ) {
    assert.equal(event(rawMessage(canonical({ permitId }))).permitId, permitId);
  }
});

Deno.test("parseMessage: CloudEvents' own rules hold", () => {
  const base: Record<string, unknown> = {
    specversion: "1.0",
    id: "1",
    source: "s",
    type: "permit.deleted",
    subject: "p",
  };
  const cases: [string, Record<string, unknown>, string][] = [
    ["another version", { specversion: "0.3" }, "specversion"],
    ["no id", { id: undefined }, "id"],
    ["no source", { source: undefined }, "source"],
    ["no type", { type: undefined }, "type"],
    ["data of another type", { datacontenttype: "application/xml" }, "data"],
    ["data_base64 that is none", { data_base64: "%%%" }, "data"],
    ["data_base64 without JSON", { data_base64: btoa("x") }, "data"],
    ["no permit", { subject: undefined }, "permitId"],
  ];
  for (const [why, overrides, path] of cases) {
    const raw = rawMessage({ ...base, ...overrides }, { contentType: "application/cloudevents+json" });
    assert.deepEqual(paths(raw), [path], why);
  }
  const headers = {
    "ce-specversion": "1.0",
    "ce-id": "%E0%A4%A",
    "ce-source": "s",
    "ce-type": "permit.deleted",
  };
  assert.deepEqual(paths(rawMessage({ permitId: "p" }, { headers })), ["id"]);
});

Deno.test("parseMessage: a rejected message says what could be read, with a reason per field", () => {
  const raw = rawMessage(
    canonical({ time: "x" }, {
      status: 1,
      researchers: [{ username: "root", uid: 0 }],
      dataHolders: [holder("a/b", { username: "a" })],
    }),
  );
  const { errors, kind, bodyHash, unknownFields: _, ...read } = rejection(raw);
  assert.deepEqual(read, {
    source: null,
    id: "evt-0192",
    type: "permit.status.updated",
    permitId: "permit-001",
    words: { status: undefined, tier: "standard" },
  });
  assert.deepEqual(errors.map(({ path }) => path), [
    "time",
    "data.status",
    "data.dataHolders[0].id",
    "data.researchers[0].username",
    "data.researchers[0].uid",
  ]);
  assert.equal(kind, "rejected");
  assert.match(bodyHash, /^[0-9a-f]{64}$/);
  const unread = rejection(rawMessage("{", { routingKey: "permit.deleted", messageId: "m" }));
  assert.deepEqual([unread.type, unread.id], ["permit.deleted", "m"]);
});

Deno.test("parseMessage: never throws, and never takes what breaks a rule", () => {
  const value = fc.jsonValue({ maxDepth: 4 });
  const fields = fc.dictionary(
    fc.constantFrom(
      "id",
      "type",
      "time",
      "permitId",
      "revision",
      "source",
      "data",
      "status",
      "__proto__",
      "specversion",
      "researchers",
    ),
    value,
  );
  fc.assert(
    fc.property(fc.oneof(fields, value), (body) => {
      const parsed = parseMessage(rawMessage(JSON.stringify(body) ?? ""), effect);
      if (parsed.kind === "rejected") assert.ok(parsed.errors.length > 0);
      else assert.equal(typeof parsed.event.type, "string");
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
      parseMessage(rawMessage(body), effect);
    }),
    { numRuns: 1000 },
  );
});

const STRUCTURED = { contentType: "application/cloudevents+json" };
const BINARY = {
  headers: { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "permit.status.updated" },
};

Deno.test("parseMessage: what is given twice is refused by path, whatever it says", () => {
  const cases: [string, RawMessage, string[]][] = [
    [
      "two permits",
      rawMessage('{"type":"permit.status.updated","permitId":"a","permitId":"b","data":{"status":"X"}}'),
      ["permitId"],
    ],
    [
      "twice the same",
      rawMessage('{"type":"permit.status.updated","permitId":"a","data":{"status":"X","status":"X"}}'),
      ["data.status"],
    ],
    [
      "two lists of people, and two uids",
      rawMessage(
        '{"type":"permit.status.updated","permitId":"a","data":{"researchers":[],' +
          '"researchers":[{"username":"x.y"},{"username":"a.b","uid":2000,"uid":2001}]}}',
      ),
      ["data.researchers", "data.researchers[1].uid"],
    ],
    [
      "an escaped name",
      rawMessage('{"type":"permit.status.updated","permitId":"a","\\u0064ata":{},"data":{"status":"X"}}'),
      ["data"],
    ],
    [
      "what nobody knows",
      rawMessage('{"type":"permit.status.updated","permitId":"a","status":"X","x":{"y":1,"y":2}}'),
      ["x.y"],
    ],
    [
      "the minimal form",
      rawMessage('{"permitId":"a","status":"X","status":"Y"}', { routingKey: "permit.status.updated" }),
      ["status"],
    ],
    ["a binary CloudEvent", rawMessage('{"permitId":"a","status":"X","status":"Y"}', BINARY), [
      "data.status",
    ]],
    [
      "a structured CloudEvent",
      rawMessage(
        '{"specversion":"1.0","id":"1","source":"s","type":"permit.status.updated","subject":"a","subject":"b",' +
          '"data":{"status":"X"}}',
        STRUCTURED,
      ),
      ["subject"],
    ],
    [
      "a structured CloudEvent in base64",
      rawMessage(
        '{"specversion":"1.0","id":"1","source":"s","type":"permit.status.updated","subject":"a","data_base64":"' +
          `${btoa('{"status":"X","status":"Y"}')}"}`,
        STRUCTURED,
      ),
      ["data.status"],
    ],
    ["a type that may be anything", rawMessage('{"type":"a.b","type":"c.d","permitId":"p"}'), ["type"]],
  ];
  for (const [why, raw, expected] of cases) {
    const { errors } = rejection(raw);
    const repeated = errors.filter(({ message }) => message.includes("more than once"));
    assert.deepEqual(repeated.map(({ path }) => path), expected, `${why}: ${JSON.stringify(errors)}`);
  }
});

Deno.test("parseMessage: an ambiguous event is listed under no permit that it may not mean", () => {
  const text =
    '{"id":"1","type":"permit.status.updated","permitId":"a","permitId":"b","data":{"status":"X"}}';
  const { id, type, permitId } = rejection(rawMessage(text));
  assert.deepEqual({ id, type, permitId }, { id: "1", type: "permit.status.updated", permitId: null });
  const clear = '{"type":"permit.status.updated","permitId":"a","data":{},"data":{"status":"X"}}';
  assert.equal(rejection(rawMessage(clear)).permitId, "a");
});

Deno.test("parseMessage: a halt is refused for two permits, and not for what its data says twice", () => {
  const halt = (rest: string): RawMessage => rawMessage(`{"type":"permit.halted",${rest}}`);
  assert.equal(
    event(halt('"permitId":"a","data":{"status":"X","status":"Y"},"status":"X","status":"Y"')).permitId,
    "a",
  );
  assert.deepEqual(paths(halt('"permitId":"a","permitId":"a"')), ["permitId"]);
  assert.equal(
    event(rawMessage('{"type":"permit.setup.approved","x":1,"x":2}')).type,
    "permit.setup.approved",
  );
});

Deno.test("parseMessage: ten thousand names given twice are told in fifty reasons, and a long name is cut", () => {
  const twice = Array.from({ length: 10_000 }, (_, index) => `"k${index}":0,"k${index}":0`).join(",");
  const { errors } = rejection(
    rawMessage(`{"type":"permit.status.updated","permitId":"a","status":"X",${twice}}`),
  );
  assert.equal(errors.length, 51);
  assert.deepEqual(errors.at(-1), { path: "body", message: "9950 more fields are given more than once" });
  const long = `"${"x".repeat(500_000)}"`;
  const cut = rejection(
    rawMessage(`{"type":"permit.status.updated","permitId":"a",${long}:0,${long}:0,"status":"X"}`),
  );
  assert.ok(cut.errors.every(({ path }) => path.length < 60), JSON.stringify(cut.errors).slice(0, 200));
  assert.ok(cut.unknownFields.paths.every((path) => path.length < 60));
});

Deno.test("decodeJson: nothing is given twice in what JSON.stringify writes, and all of it once it is doubled", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = JSON.stringify(value);
      assert.deepEqual(decodeJson(new TextEncoder().encode(text)), { value: JSON.parse(text), repeated: [] });
      const names = typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.keys(value)
        : [];
      if (names.length === 0) return;
      const doubled = decodeJson(new TextEncoder().encode(`${text.slice(0, -1)},${text.slice(1)}`));
      assert.ok("repeated" in doubled);
      assert.equal(doubled.repeated.length, new Set(names.map(shortName)).size);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("parseMessage: what WPS does not know is told by path, of accepted and of rejected events", () => {
  const raw = rawMessage(
    canonical({ colour: "red" }, {
      ethics: { board: "x" },
      permitId: "elsewhere",
      reviewer: { username: "a.rossi", email: "a@b" },
      researchers: [{ username: "j.virtanen" }, { username: "l.maes", user: "x" }],
      dataHolders: [holder("hospital-a", { cidrs: ["203.0.113.7/32"] })],
    }),
  );
  const told = {
    paths: [
      "colour",
      "data.ethics",
      "data.permitId",
      "data.reviewer.email",
      "data.dataHolders[0].cidrs",
      "data.researchers[1].user",
    ],
    count: 6,
  };
  const parsed = parseMessage(raw, effect);
  assert.deepEqual([parsed.kind, parsed.unknownFields], ["event", told]);
  assert.deepEqual(
    rejection(rawMessage({ type: "permit.status.updated", permitId: "p", data: { statuss: "X" } }))
      .unknownFields,
    { paths: ["data.statuss"], count: 1 },
  );
  const known = [
    rawMessage(canonical()),
    rawMessage({ ...canonical(), specversion: "1.0", source: "s", traceparent: "00-1-2-01" }, STRUCTURED),
    rawMessage({ type: "permit.setup.approved", whatever: 1 }),
  ];
  for (const each of known) {
    assert.deepEqual(parseMessage(each, effect).unknownFields, { paths: [], count: 0 });
  }
});

Deno.test("parseMessage: of many unknown members twenty are named and all are counted", () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`x${index}`, index]));
  const { unknownFields } = parseMessage(rawMessage(canonical({}, many)), effect);
  assert.deepEqual([unknownFields.paths.length, unknownFields.count], [20, 5_000]);
});
