import assert from "node:assert/strict";
import { disk } from "../../src/config/disk.ts";
import { BUILT_IN_PHASES, loadPhases } from "../../src/phases/load.ts";
import { memoryFiles } from "../config/memory_files.ts";
import { expectPhases, loadBuiltIn, loadSite } from "./site.ts";

const TEACHING = `
status: TEACHING
title: Teaching
workspaces:
  - kind: classroom
    for: each researcher
    network: open
    protocol: vnc
    mounts:
      - { volume: home, path: "/home/{username}", mode: rw }
      - { volume: slides, path: /slides, mode: ro }
`;
const SLIDES = `
volumes:
  slides: { per: permit, sensitive: when-tainted, access: ReadWriteMany, size: 1Gi, description: Course material. }
`;

Deno.test("loadPhases: a site adds a status with a volume and a kind of its own", async () => {
  const result = await loadSite({ "teaching.yaml": TEACHING, "volumes.yaml": SLIDES });
  const phases = expectPhases(result);
  const builtIn = await loadBuiltIn();
  assert.deepEqual([...phases.statuses.keys()].filter((name) => !builtIn.statuses.has(name)), ["TEACHING"]);
  assert.deepEqual(phases.statuses.get("TEACHING"), {
    status: "TEACHING",
    title: "Teaching",
    description: "",
    workspaces: [{
      kind: "classroom",
      role: "researcher",
      power: "running",
      network: "open",
      protocol: "vnc",
      mounts: [
        { volume: "home", of: null, path: "/home/{username}", mode: "rw" },
        { volume: "slides", of: null, path: "/slides", mode: "ro" },
      ],
    }],
    keepsIngress: false,
    consolidatesInto: null,
    archives: false,
  });
  assert.deepEqual(phases.volumes.get("slides"), {
    name: "slides",
    per: "permit",
    sensitive: "when-tainted",
    access: "ReadWriteMany",
    size: "1Gi",
    description: "Course material.",
  });
  assert.deepEqual(result.overridden, []);
  assert.deepEqual(phases.statuses.get("ARCHIVED"), builtIn.statuses.get("ARCHIVED"));
});

Deno.test("loadPhases: a site's file replaces the phase of the same status whole, whatever the file is called", async () => {
  const result = await loadSite({
    "99-ours.yml": "status: ARCHIVED\ntitle: Kept in the cellar\narchives: true\n",
    "volumes.yaml":
      "volumes:\n  home: { per: person, sensitive: always, access: ReadWriteOnce, size: 5Gi }\n",
    "README.md": "not read",
    "notes.yaml~": "not: read",
    ".hidden.yaml": "not: read",
  });
  // home always sensitive is stricter than built in, so the setup phases can no longer mount it with a way out.
  assert.deepEqual(
    [...new Set(result.problems.map(({ key, invariant }) => `${key} ${invariant}`))],
    ["workspaces[0].mounts[1].volume 1"],
  );
  assert.deepEqual(result.overridden.sort(), ["ARCHIVED", "home"]);
});

Deno.test("loadPhases: size and access of a built-in volume are the site's to choose", async () => {
  const phases = expectPhases(
    await loadSite({
      "volumes.yaml":
        "volumes:\n  home: { per: person, sensitive: when-tainted, access: ReadWriteMany, size: 5Gi }\n",
    }),
  );
  assert.equal(phases.volumes.get("home")?.size, "5Gi");
  assert.equal(phases.volumes.get("home")?.access, "ReadWriteMany");
  assert.equal(phases.volumes.get("prepared")?.size, "200Gi", "the others stay as built in");
});

Deno.test("loadPhases: a site may move the airlock's mount", async () => {
  const phases = expectPhases(
    await loadSite({
      "ingress.yaml": `
event: permit.ingress.initiated
title: Ingress
effect: open-ingress
workspaces:
  - kind: airlock
    for: each dataHolder
    network: inbound-allowlist
    mounts: [{ volume: uploads, path: /incoming, mode: wo }]
`,
    }),
  );
  const airlock = phases.events.get("permit.ingress.initiated")?.workspaces[0];
  assert.equal(airlock?.mounts[0]?.path, "/incoming");
  assert.equal(airlock?.protocol, "sftp", "the protocol of an airlock when none is named");
});

Deno.test("loadPhases: a copy of the built-in phases is a valid site", async () => {
  const files: Record<string, string> = {};
  for (const name of await disk.list(BUILT_IN_PHASES)) {
    files[name] = await disk.read(`${BUILT_IN_PHASES}/${name}`);
  }
  const result = await loadSite(files);
  assert.deepEqual(expectPhases(result), await loadBuiltIn());
  assert.equal(result.overridden.length, 9 + 4 + 7);
});

Deno.test("loadPhases: the same status in two files of a site", async () => {
  const text = "status: ARCHIVED\ntitle: Twice\narchives: true\n";
  const { problems } = await loadSite({ "a.yaml": text, "b.yaml": text });
  assert.deepEqual(problems.map(({ file, line, column, message }) => ({ file, line, column, message })), [
    {
      file: "/site/b.yaml",
      line: 1,
      column: 9,
      message: "ARCHIVED is already in /site/a.yaml; keep one of them",
    },
  ]);
});

Deno.test("loadPhases: folders that cannot be used are named", async (test) => {
  const none = memoryFiles({});
  const many = memoryFiles(
    Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`/site/${index}.yaml`, ""])),
  );
  const cases = [
    { reason: "absent", files: none, message: /^cannot read the folder of phases: it does not exist$/ },
    { reason: "empty", files: memoryFiles({ "/site/README.md": "" }), message: /no \.yaml file/ },
    { reason: "the wrong folder", files: many, message: /201 YAML files; at most 200/ },
    {
      reason: "a file that vanished",
      files: { list: () => Promise.resolve(["a.yaml"]), read: none.read },
      message: /^cannot read the file: it does not exist$/,
    },
  ];
  for (const { reason, files, message } of cases) {
    await test.step(reason, async () => {
      const result = await loadPhases({
        builtInDirectory: BUILT_IN_PHASES,
        siteDirectory: "/site",
        files: {
          list: (directory) => (directory === "/site" ? files : disk).list(directory),
          read: (path) => (path.startsWith("/site/") ? files : disk).read(path),
        },
      });
      assert.equal(result.problems.length, 1);
      assert.match(result.problems[0]?.message ?? "", message);
    });
  }
});

Deno.test("loadPhases: reads a real folder from disk", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/mine.yaml`, "status: MINE\ntitle: Mine\n");
    await Deno.mkdir(`${directory}/sub.yaml`);
    const phases = expectPhases(
      await loadPhases({ builtInDirectory: BUILT_IN_PHASES, siteDirectory: `${directory}/`, files: disk }),
    );
    assert.ok(phases.statuses.has("MINE"));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
