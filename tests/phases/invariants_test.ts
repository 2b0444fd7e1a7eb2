import assert from "node:assert/strict";
import fc from "fast-check";
import { stringify } from "yaml";
import { desire } from "../../src/core/desired.ts";
import { dataBesideWayOut } from "../../src/core/invariants.ts";
import type { Members } from "../../src/core/member.ts";
import { newPermit, type Permit } from "../../src/core/permit.ts";
import { isWayOut, type PhaseSet } from "../../src/core/phase.ts";
import { loadSite } from "./site.ts";

const SITE_VOLUMES = `
volumes:
  notes: { per: permit, sensitive: when-tainted, access: ReadWriteMany, size: 1Gi }
  home: { per: person, sensitive: when-tainted, access: ReadWriteMany, size: 1Gi }
`;

const mount = fc.record({
  volume: fc.constantFrom("prepared", "project", "notes", "project", "notes"),
  mode: fc.constantFrom("ro", "rw"),
});

const workspace = fc.record({
  for: fc.constantFrom("each researcher", "preprocessor", "reviewer", "setupReviewer"),
  power: fc.constantFrom("running", "running", "running", "stopped"),
  network: fc.constantFrom("isolated", "isolated", "proxied", "open"),
  home: fc.constantFrom("home", "home", "staff-home"),
  mounts: fc.uniqueArray(mount, { maxLength: 3, selector: ({ volume }) => volume }),
});

const site = fc.record({
  workspaces: fc.array(workspace, { minLength: 2, maxLength: 3 }),
  /** Which volumes an earlier phase tainted, as bits over their keys. */
  tainted: fc.nat({ max: 2 ** 20 - 1 }),
});

const MEMBERS: Members = {
  dataHolders: [],
  researchers: [{ username: "r.one" }, { username: "r.two" }],
  preprocessor: { username: "s.one" },
  reviewer: { username: "s.two" },
  // One person in two roles: what one workspace taints, the other may mount.
  setupReviewer: { username: "r.one" },
};

const KEYS = ["project", "notes", "home/r.one", "home/r.two", "home/s.one", "home/s.two"];

function permitIn(status: string): Permit {
  const accounts = Object.fromEntries(
    ["r.one", "r.two", "s.one", "s.two"].map((
      username,
      index,
    ) => [username, { username, uid: 2000 + index, gid: 2000 }]),
  );
  return { ...newPermit("permit-1"), status, members: MEMBERS, accounts, fsGroup: 3000 };
}

/** How many running workspaces had a way out; throws when one of them has sensitive data too. */
function judge(phases: PhaseSet, tainted: number): number {
  const records = KEYS.map((key, index) => ({
    key,
    tainted: (tainted >> index & 1) === 1,
    bound: true,
    destroyed: false,
  }));
  const tiers = { standard: { cpu: "1", memory: "1Gi", sizes: {} } };
  const waits = {
    cutMs: 1,
    goneMs: 1,
    readyMs: 1,
    canariesMs: 1,
    consolidatedMs: 1,
    volumeMs: 1,
    membersMs: 1,
  };
  const desired = desire({
    permit: permitIn("RANDOM"),
    records,
    observedVolumes: [],
    phases,
    site: { tiers, defaultTier: "standard", waits },
    nowMs: 0,
  });
  assert.equal(desired.mode, "apply");
  if (desired.mode !== "apply") return 0;
  const { sensitive } = desired;
  for (const one of desired.workspaces) {
    assert.deepEqual(dataBesideWayOut(one, (key) => sensitive.has(key)), [], `${one.key} (${one.posture})`);
  }
  return desired.workspaces.filter(({ power, posture }) => power === "running" && isWayOut(posture)).length;
}

Deno.test("loadPhases: whatever it accepts, core finds no workspace with sensitive data and a way out", async () => {
  let accepted = 0;
  let refused = 0;
  let withWayOut = 0;
  const property = fc.asyncProperty(site, async ({ workspaces, tainted }) => {
    const file = {
      status: "RANDOM",
      title: "Random",
      workspaces: workspaces.map(({ home, mounts, ...rest }, index) => ({
        kind: `kind-${index}`,
        ...rest,
        mounts: [
          { volume: home, path: "/home/{username}", mode: "rw" },
          ...mounts.map(({ volume, mode }) => ({ volume, path: `/mnt/${volume}`, mode })),
        ],
      })),
    };
    const { phases } = await loadSite({ "random.yaml": stringify(file), "volumes.yaml": SITE_VOLUMES });
    if (phases === null) refused++;
    else {
      accepted++;
      withWayOut += judge(phases, tainted) > 0 ? 1 : 0;
    }
  });
  await fc.assert(property, { numRuns: 300, seed: 20_261_122 });
  assert.ok(accepted > 40 && refused > 40 && withWayOut > 15, `${accepted} ${refused} ${withWayOut}`);
});
