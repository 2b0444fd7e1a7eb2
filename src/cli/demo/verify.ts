/** Judges an act by the simulated cluster's own truth: its pods, packets, mounts and files, never WPS's database. */
import { sha256Hex } from "../../core/sha256.ts";
import { manifestPath } from "../../core/step.ts";
import type { LabInside } from "../../drivers/lab/inside.ts";
import type { PermitSnapshot, PodSnapshot } from "../../drivers/lab/snapshot.ts";
import type { ExpectedBatch, ExpectedFile, ExpectedTruth, ExpectedWorkspace, Probe } from "./act.ts";
import { counted } from "../text.ts";

/** One thing that was looked at; `detail` says what was seen instead, where it failed. */
export interface Check {
  what: string;
  ok: boolean;
  detail: string | null;
}

/** One thing that was looked at; `otherwise` says what was seen instead and is told only where that matters. */
export function checked(what: string, ok: boolean, otherwise: string | null): Check {
  return { what, ok, detail: ok ? null : otherwise };
}

/** The uids that the demo's site leases. */
export const UID_RANGE = { min: 30_000, max: 39_999 } as const;

/** Whether exactly what must exist exists, and each workspace is what its row of DESIGN 4 says. */
export function checkTruth(truth: ExpectedTruth, seen: PermitSnapshot): Check[] {
  const workspaces = seen.pods.filter(({ kind }) => kind === "workspace");
  const ready = workspaces.filter(({ phase, ready }) => phase === "running" && ready);
  const others = seen.pods.filter((pod) => !ready.includes(pod));
  const wanted = truth.running.map(({ key }) => key);
  return [
    same(wanted.length === 0 ? "nothing runs" : `these run and are ready: ${wanted.join(", ")}`, wanted, [
      ...ready.map(({ of }) => of),
      ...others.map(({ name, phase }) => `${name} (${phase})`),
    ]),
    ...(truth.stopped.length === 0 && seen.stopped.length === 0
      ? []
      : [same(`stopped and kept: ${truth.stopped.join(", ") || "nothing"}`, truth.stopped, seen.stopped)]),
    ...truth.running.flatMap((expected) => {
      const pod = ready.find(({ of }) => of === expected.key);
      return pod === undefined ? [] : checkWorkspace(expected, pod);
    }),
    ...checkVolumes(truth, seen),
  ];
}

function checkWorkspace(expected: ExpectedWorkspace, pod: PodSnapshot): Check[] {
  const { username, uid, gid } = pod.account;
  const isKnown = expected.uid === null ? uid >= UID_RANGE.min && uid <= UID_RANGE.max : uid === expected.uid;
  const network = networkOf(expected);
  return [
    checked(
      `${expected.key} runs as ${username} ${uid}:${gid}`,
      username === expected.username && isKnown && gid >= 1000,
      `expected ${expected.username}${expected.uid === null ? " with a leased uid" : ` ${expected.uid}`}`,
    ),
    same(
      `${expected.key} mounts ${mountText(expected.mounts)}`,
      mountList(expected.mounts),
      pod.mounts.map(
        ({ path, volumeKey, mode }) => `${mode} ${path} = ${volumeKey}`,
      ),
    ),
    same(`${expected.key}: ${network.text}`, network.ends, [
      ...pod.leaves.map((end) => `to ${end}`),
      ...pod.enters.map((end) => `from ${end}`),
      // What it was connected with once, it may still be: a connection outlives a policy.
      ...pod.connections.filter((end) => !network.ends.includes(end)).map((end) => `connected ${end}`),
    ]),
  ];
}

function networkOf({ network }: ExpectedWorkspace): { text: string; ends: string[] } {
  if (network === "isolated") {
    return { text: "nothing leaves, only the gateway comes in", ends: ["from gateway"] };
  }
  if (network === "proxied") {
    return {
      text: "only the proxy is reached, only the gateway comes in",
      ends: ["to proxy", "from gateway"],
    };
  }
  return {
    text: `nothing leaves, only ${network.only.join(", ")} comes in`,
    ends: network.only.map((range) => `from ${range}`),
  };
}

function mountList(mounts: ExpectedWorkspace["mounts"]): string[] {
  return mounts.map(({ path, volume, mode }) => `${mode} ${path} = ${volume}`);
}

function mountText(mounts: ExpectedWorkspace["mounts"]): string {
  return mounts.map(({ path, mode }) => `${mode} ${path}`).join(", ");
}

function checkVolumes({ volumes, tainted }: ExpectedTruth, seen: PermitSnapshot): Check[] {
  const isGone = volumes.length === 0;
  const kept = seen.volumes.filter(({ claimed, retained }) => claimed && retained).map(({ key }) => key);
  const mine = seen.volumes.filter(({ key }) => /^(home|project)\b/.test(key));
  const marked = mine.filter(({ marked }) => marked).map(({ key }) => key);
  return [
    same(
      isGone ? "no volume is left" : `these volumes exist, each retained: ${volumes.join(", ")}`,
      volumes,
      [
        ...kept,
        ...seen.volumes.filter(({ key }) => !kept.includes(key)).map(({ key }) => `${key} (not retained)`),
      ],
    ),
    ...(mine.length === 0 ? [] : [same(
      tainted.length === 0 ? "home and project are not tainted" : `tainted for good: ${tainted.join(", ")}`,
      tainted,
      marked,
    )]),
    ...(isGone
      ? [
        checked(
          "no namespace, workspace, secret or task is left",
          seen.scope === "absent" && seen.identities.length === 0 && seen.tasks.length === 0,
          `the namespace is ${seen.scope}, with ${seen.identities.length} secrets and ${seen.tasks.length} tasks`,
        ),
      ]
      : []),
  ];
}

/** Whether people can do from inside exactly what they should. Writes what they write. */
export function checkProbes(probes: readonly Probe[], permitId: string, inside: LabInside): Check[] {
  return probes.map(({ by, does, path, text }): Check => {
    const who = by.slice(by.indexOf("/") + 1);
    const can = text === null ? "cannot" : "can";
    const what = `${who} ${can} ${does} ${path}`;
    try {
      if (does === "write") {
        const written = inside.writeInside(permitId, by, path, text ?? "a probe\n");
        return checked(what, written === (text !== null), written ? "it was written" : "it was refused");
      }
      const found = inside.readInside(permitId, by, path);
      return checked(what, found === text, found === null ? "it was refused" : "something else was read");
    } catch (thrown) {
      return checked(what, false, thrown instanceof Error ? thrown.message : String(thrown));
    }
  });
}

/** Whether consolidated files are whole, and their manifest says so in `sha256sum`'s words. */
export function checkBatches(
  batches: readonly ExpectedBatch[],
  permitId: string,
  inside: LabInside,
): Check[] {
  return batches.map(({ volume, folder, files }): Check => {
    const found = inside.files(permitId, volume) ?? {};
    const names = Object.keys(files);
    const wrong = names.filter((name) => found[`${folder}/${name}`]?.text !== files[name]);
    const manifest = found[manifestPath(folder)]?.text ?? "";
    const unlisted = names.filter((name) => !manifest.includes(`${sha256Hex(files[name] ?? "")}  ${name}\n`));
    const bad = [...new Set([...wrong, ...unlisted])];
    return checked(
      `${volume}/${folder} holds ${counted(names.length, "verified file")}`,
      bad.length === 0,
      `missing or altered: ${bad.join(", ")}`,
    );
  });
}

/** Whether files lie on their volumes as they were left. */
export function checkKept(kept: readonly ExpectedFile[], permitId: string, inside: LabInside): Check[] {
  return kept.map(({ volume, path, text }): Check => {
    const found = inside.files(permitId, volume)?.[path]?.text;
    const detail = found === undefined ? "it is not there" : "it has another content";
    return checked(`${volume}/${path} is kept as it was`, found === text, detail);
  });
}

/** Two lists without regard to order. */
function same(what: string, expected: readonly string[], found: readonly string[]): Check {
  const missing = expected.filter((item) => !found.includes(item));
  const extra = found.filter((item) => !expected.includes(item));
  const said = [
    missing.length === 0 ? null : `missing: ${missing.join(", ")}`,
    extra.length === 0 ? null : `not expected: ${extra.join(", ")}`,
  ].filter((part) => part !== null);
  return checked(what, said.length === 0, said.join("; "));
}
