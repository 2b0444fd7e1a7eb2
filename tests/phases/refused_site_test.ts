import { expectRefusals, lines, type Refusal } from "./refusal.ts";

/** The airlock's event; its workspace's keys begin on line 5. */
function ingress(...body: string[]): string {
  return lines("event: permit.ingress.initiated", "title: Ingress", "effect: open-ingress", ...body);
}

const EVENTS: Refusal[] = [
  {
    reason: "an event of the site's own",
    text: lines("event: permit.analysis.approved", "title: x", "effect: start", "kinds: [research]"),
    at: [1, 8],
    key: "event",
    says: /expected one of permit.ingress.initiated/,
  },
  {
    reason: "an event with another effect",
    text: lines("event: permit.deleted", "title: x", "effect: start", "kinds: [research]"),
    at: [3, 9],
    key: "effect",
    says: /expected destroy: what this event does is fixed/,
  },
  {
    reason: "an ingress that opens nothing",
    text: ingress(),
    at: [1, 1],
    key: "workspaces",
    says: /expected the airlock/,
  },
  {
    reason: "an airlock that can be read",
    text: ingress(
      "workspaces:",
      "  - kind: airlock",
      "    for: each dataHolder",
      "    network: inbound-allowlist",
      "    mounts:",
      '      - { volume: uploads, path: "/uploads/{holder}", mode: rw }',
    ),
    at: [9, 61],
    key: "workspaces[0].mounts[0].mode",
    says: /expected wo/,
    invariant: 1,
  },
  {
    reason: "an airlock with a second volume",
    text: ingress(
      "workspaces:",
      "  - kind: airlock",
      "    for: each dataHolder",
      "    network: inbound-allowlist",
      "    mounts:",
      '      - { volume: uploads, path: "/uploads/{holder}", mode: wo }',
      "      - { volume: raw, path: /raw, mode: wo }",
    ),
    at: [10, 19],
    key: "workspaces[0].mounts[1].volume",
    says:
      /raw is sensitive and an airlock is reachable from outside; it mounts only its own holder's uploads/,
    invariant: 1,
  },
  {
    reason: "a desktop that the ingress opens to the outside",
    text: ingress(
      "workspaces:",
      "  - kind: airlock",
      "    for: each dataHolder",
      "    network: inbound-allowlist",
      "    protocol: rdp",
      "    mounts:",
      '      - { volume: uploads, path: "/uploads/{holder}", mode: wo }',
    ),
    at: [8, 15],
    key: "workspaces[0].protocol",
    says: /expected sftp/,
    invariant: 1,
  },
  {
    reason: "an airlock for somebody else",
    text: ingress(
      "workspaces:",
      "  - kind: airlock",
      "    for: each researcher",
      "    network: inbound-allowlist",
      "    mounts:",
      "      - { volume: home, path: /upload, mode: wo }",
    ),
    at: [6, 10],
    key: "workspaces[0].for",
    says: /expected each dataHolder/,
  },
  {
    reason: "a stop of a kind that does not exist",
    text: lines("event: permit.workspace.stop_requested", "title: x", "effect: stop", "kinds: [reserch]"),
    at: [4, 9],
    key: "kinds[0]",
    says: /no status has a workspace of kind "reserch"; .*did you mean "research"\?/,
  },
  {
    reason: "a stop that start does not know",
    text: lines(
      "event: permit.workspace.start_requested",
      "title: x",
      "effect: start",
      "kinds: [preprocessing]",
    ),
    at: [4, 1],
    key: "kinds",
    says: /both must name the same kinds/,
  },
];

/** volumes.yaml with one volume; its keys begin on line 3. */
function volume(name: string, ...body: string[]): string {
  return lines("volumes:", `  ${name}:`, ...body.map((line) => `    ${line}`));
}

const VOLUMES: Refusal[] = [
  {
    reason: "data declared harmless",
    file: "volumes.yaml",
    text: volume("prepared", "per: permit", "sensitive: when-tainted", "access: ReadWriteMany", "size: 1Gi"),
    at: [4, 16],
    key: "volumes.prepared.sensitive",
    says: /expected always: prepared holds health data/,
    invariant: 1,
  },
  {
    reason: "a volume keyed differently: what permits have would be lost",
    file: "volumes.yaml",
    text: volume("home", "per: workspace", "sensitive: when-tainted", "access: ReadWriteOnce", "size: 1Gi"),
    at: [3, 10],
    key: "volumes.home.per",
    says: /expected person: the volumes that permits have are found by it/,
  },
  {
    reason: "a second kind of uploads",
    file: "volumes.yaml",
    text: volume("letters", "per: dataHolder", "sensitive: always", "access: ReadWriteOnce", "size: 1Gi"),
    at: [3, 10],
    key: "volumes.letters.per",
    says: /only uploads is one per data holder/,
  },
  {
    reason: "a size without a unit",
    file: "volumes.yaml",
    text: volume("home", "per: person", "sensitive: when-tainted", "access: ReadWriteOnce", "size: 20"),
    at: [6, 11],
    key: "volumes.home.size",
    says: /expected a size such as 500Mi/,
  },
  {
    reason: "never sensitive does not exist",
    file: "volumes.yaml",
    text: volume("scratch", "per: permit", "sensitive: never", "access: ReadWriteMany", "size: 1Gi"),
    at: [4, 16],
    key: "volumes.scratch.sensitive",
    says: /expected one of always, when-tainted/,
  },
  {
    reason: "the word of the configuration",
    file: "volumes.yaml",
    text: volume("default", "per: permit", "sensitive: always", "access: ReadWriteMany", "size: 1Gi"),
    at: [2, 3],
    key: "volumes.default",
    says: /cannot be named "default"/,
  },
  {
    reason: "an access mode that the researchers' project cannot live with",
    file: "volumes.yaml",
    text: volume("raw", "per: permit", "sensitive: always", "access: ReadWriteOnce", "size: 1Gi"),
    at: [null, null],
    key: "consolidate.into",
    says: /raw is ReadWriteOnce; several holders are consolidated at once/,
  },
];

Deno.test("loadPhases: refuses events that do something else", (test) => expectRefusals(test, EVENTS));

Deno.test("loadPhases: refuses volumes that lose or expose data", (test) => expectRefusals(test, VOLUMES));
