import assert from "node:assert/strict";
import { loadSite } from "./site.ts";
import { desk, expectRefusals, HOME, lines, type Refusal, STAFF_HOME, status } from "./refusal.ts";

const CASES: Refusal[] = [
  {
    reason: "not YAML",
    text: status("workspaces: ["),
    at: [4, 1],
    key: "",
    says: /not valid YAML: /,
  },
  { reason: "a key twice", text: status("title: again"), at: [3, 1], key: "", says: /given twice/ },
  { reason: "two documents", text: status("---", "a: 1"), at: [3, 1], key: "", says: /one document/ },
  {
    reason: "a tag",
    text: status("description: !secret x"),
    at: [3, 14],
    key: "",
    says: /tags are not supported/,
  },
  {
    reason: "neither status nor event",
    text: lines("titel: x"),
    at: [1, 1],
    key: "",
    says: /either status: .* or event:/,
  },
  {
    reason: "both status and event",
    text: status("event: permit.deleted"),
    at: [1, 1],
    key: "",
    says: /either status/,
  },
  { reason: "an empty file", text: "# nothing\n", at: [1, 1], key: "", says: /either status/ },
  {
    reason: "volumes elsewhere",
    text: lines("volumes: {}"),
    at: [1, 1],
    key: "",
    says: /belongs in volumes.yaml/,
  },
  {
    reason: "a mistyped key",
    text: status("workspace: []"),
    at: [3, 1],
    key: "workspace",
    says: /unknown key; expected one of .*; did you mean "workspaces"\?/,
  },
  {
    reason: "a mistyped key, deep",
    text: desk("isolated", ["{ volume: home, pat: /x, mode: rw }"]),
    at: [9, 25],
    key: "workspaces[0].mounts[0].pat",
    says: /did you mean "path"\?/,
  },
  {
    reason: "a missing key",
    text: desk("isolated", ["{ volume: home, path: /x }"]),
    at: [9, 9],
    key: "workspaces[0].mounts[0].mode",
    says: /^missing: expected one of ro, rw, wo$/,
  },
  {
    reason: "no title",
    text: lines("status: SITE_STATUS"),
    at: [1, 1],
    key: "title",
    says: /missing: expected one line/,
  },
  {
    reason: "a status in lower case",
    text: lines("status: analysis", "title: x"),
    at: [1, 9],
    key: "status",
    says: /upper-case/,
  },
  {
    reason: "a list where a mapping belongs",
    text: status("consolidate: raw"),
    at: [3, 14],
    key: "consolidate",
    says: /expected a mapping/,
  },
  {
    reason: "an unknown network",
    text: desk("isolate", [HOME]),
    at: [6, 14],
    key: "workspaces[0].network",
    says: /expected one of isolated, proxied, open, inbound-allowlist; did you mean "isolated"\?/,
  },
  {
    reason: "an unsupported role",
    text: desk("isolated", [HOME], "each reviewer"),
    at: [5, 10],
    key: "workspaces[0].for",
    says:
      /each researcher, each dataHolder, preprocessor, reviewer, setupReviewer; did you mean "reviewer"\?/,
  },
  {
    reason: "a role without each",
    text: desk("isolated", [HOME], "researcher"),
    at: [5, 10],
    key: "workspaces[0].for",
    says: /did you mean "each researcher"\?/,
  },
  {
    reason: "a kind that no platform takes",
    text: desk("isolated", [HOME]).replace("desk", "My_Desk"),
    at: [4, 11],
    key: "workspaces[0].kind",
    says: /lower-case letters/,
  },
  {
    reason: "too many mounts",
    text: desk("isolated", Array.from({ length: 25 }, () => HOME)),
    at: [8, 5],
    key: "workspaces[0].mounts",
    says: /at most 24/,
  },
];

Deno.test("loadPhases: refuses what is no phase file", (test) => expectRefusals(test, CASES));

Deno.test("loadPhases: a mount list repeated by alias is judged where it is used", async () => {
  const result = await loadSite({
    "site.yaml": status(
      "workspaces:",
      "  - kind: one",
      "    for: reviewer",
      "    network: isolated",
      "    mounts: &mounts",
      `      - ${STAFF_HOME}`,
      "      - { volume: raw, path: /raw, mode: ro }",
      "  - kind: two",
      "    for: preprocessor",
      "    network: proxied",
      "    mounts: *mounts",
    ),
  });
  const found = result.problems.filter(({ key }) => key === "workspaces[1].mounts[1].volume");
  assert.deepEqual(found.map(({ line, column, invariant }) => [line, column, invariant]), [[9, 19, 1]]);
});

Deno.test("loadPhases: reports every problem at once, in the order of the files", async () => {
  const result = await loadSite({
    "b.yaml": status("workspace: []"),
    "a.yaml": lines("status: OTHER", "title: x", "ingress: keeep", "archives: perhaps"),
    "c.yaml": desk("proxied", ["{ volume: raw, path: /etc, mode: wo }"]).replace("SITE_STATUS", "THIRD"),
  });
  assert.deepEqual(result.problems.map(({ file, line, key }) => `${file}:${line} ${key}`), [
    "/site/a.yaml:3 ingress",
    "/site/a.yaml:4 archives",
    "/site/b.yaml:3 workspace",
    "/site/c.yaml:8 workspaces[0].mounts",
    "/site/c.yaml:9 workspaces[0].mounts[0].volume",
    "/site/c.yaml:9 workspaces[0].mounts[0].path",
    "/site/c.yaml:9 workspaces[0].mounts[0].mode",
  ]);
});
