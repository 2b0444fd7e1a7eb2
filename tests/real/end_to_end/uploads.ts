/** What holders upload, and what must have become of it in the permit's raw volume. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Cluster } from "../../cluster/harness.ts";
import { run, writeFile } from "./inside.ts";
import type { KubeObject } from "./objects.ts";

/** Files by path; a number n stands for n lines, 1 to n, which the pod writes itself. */
export type Files = Record<string, string | number>;

/** A first batch: names that tools like to break on, nested, empty, and one that takes several reads. */
export const FIRST_BATCH: Files = {
  "patients.csv": "id;value\n1;2\n",
  "scans/2026 läb/slice 1.txt": "slice\n",
  "scans/empty": "",
  "odd\\name.txt": "backslash\n",
  "large.txt": 200_000,
};

/** Writes files as the workspace's person. */
export async function upload(cluster: Cluster, pod: KubeObject, folder: string, files: Files): Promise<void> {
  await Promise.all(
    Object.entries(files).map(async ([path, text]) => {
      if (typeof text === "string") return await writeFile(cluster, pod, `${folder}/${path}`, text);
      const { code } = await run(cluster, pod, ["sh", "-c", `seq ${text} >"$1"`, "sh", `${folder}/${path}`]);
      assert.equal(code, 0, path);
    }),
  );
}

/** DESIGN 4: each file with its SHA-256 in a manifest, handed to the permit's group, 0640 and 0750, verified. */
export async function judgeBatch(
  cluster: Cluster,
  pod: KubeObject,
  batch: string,
  files: Files,
  owner: number,
): Promise<void> {
  const script = `cd "$1" && find . -type f -exec stat -c 'file %a %u %g' {} + && \
find . -type d -exec stat -c 'folder %a %u %g' {} + && stat -c 'manifest %a %u %g' "$1.sha256" && \
echo === && cat "$1.sha256" && echo === && find . -type f -exec sha256sum {} +`;
  const { code, stdout, stderr } = await run(cluster, pod, ["sh", "-c", script, "sh", batch]);
  assert.equal(code, 0, `${batch}: ${stderr}`);
  const [modes, manifest, sums] = stdout.split("===\n").map((part) => part.trimEnd().split("\n").sort());
  const group = pod.spec.securityContext.fsGroup;
  const folders = new Set([".", ...Object.keys(files).flatMap(parents)]);
  const expected = [
    ...Object.keys(files).map(() => `file 640 ${owner} ${group}`),
    ...[...folders].map(() => `folder 750 ${owner} ${group}`),
    `manifest 640 ${owner} ${group}`,
  ];
  assert.deepEqual(modes, expected.sort(), `${batch}: owner and modes`);
  const hashes = Object.entries(files).map(([path, text]): [string, string] => [
    createHash("sha256").update(typeof text === "string" ? text : lines(text)).digest("hex"),
    `./${path}`,
  ]);
  const plain = hashes.map(([hash, path]) => `${hash}  ${path}`);
  assert.deepEqual(sums, plain.sort(), `${batch}: what arrived is what was sent`);
  // GNU sha256sum marks a line whose name it had to escape.
  const escaped = hashes.map(([hash, path]) =>
    path.includes("\\") ? `\\${hash}  ${path.replaceAll("\\", "\\\\")}` : `${hash}  ${path}`
  );
  assert.deepEqual(manifest, escaped.sort(), `${batch}: its manifest`);
}

function parents(path: string): string[] {
  const parts = path.split("/").slice(0, -1);
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, index) => `${index + 1}\n`).join("");
}
