/** What a workspace's own processes see: one look from inside a pod, by commands of its image. */
import assert from "node:assert/strict";
import type { Cluster, CommandResult } from "../../cluster/harness.ts";
import type { KubeObject } from "./objects.ts";

/** A pod as seen from inside. */
export interface Inside {
  user: string;
  uid: number;
  gid: number;
  groups: number[];
  env: Record<string, string>;
  passwd: string[];
  group: string[];
  password: string;
  /** Mounted folders beyond what every container has, by mode as the kernel has it. */
  mounts: Record<string, "ro" | "rw">;
  /** Of the folders that were tried: whether a file could be made. */
  writable: Record<string, boolean>;
  /** Whether a service account's token is anywhere it usually is. */
  hasToken: boolean;
}

/** Mounts of any container, and of any workspace of WPS (DESIGN 4: password, passwd, group, scratch space). */
const USUAL =
  /^\/(proc|sys|dev)(\/|$)|^\/etc\/(hosts|hostname|resolv\.conf|passwd|group)$|^\/(tmp|run|run\/wps|)$/;

const SCRIPT = `
part() { echo "=== $1"; }
part user; whoami; id -u; id -g; id -G
part env; env
part passwd; cat /etc/passwd
part group; cat /etc/group
part password; cat /run/wps/password
echo
part mounts; cut -d' ' -f2,4 /proc/mounts
part writable
for folder in "$@"; do
  file="$folder/.wps-try-$WORKSPACE_USER" # several may try one volume at a time
  if touch "$file" 2>/dev/null; then rm "$file"; echo "yes $folder"; else echo "no $folder"; fi
done
part token; [ -e /run/secrets ] || [ -e /var/run/secrets ] && echo yes || echo no
`;

/** Folders that no workspace may write, and two that each may. */
const TRIED = ["/", "/etc", "/home", "/data", "/uploads", "/bin", "/run/wps", "/tmp", "/run"];

/** Looks from inside a pod, trying to write into each of `folders` and into places of the image. */
export async function lookInside(cluster: Cluster, pod: KubeObject, folders: string[]): Promise<Inside> {
  const result = await run(cluster, pod, ["sh", "-c", SCRIPT, "sh", ...TRIED, ...folders]);
  assert.equal(result.code, 0, result.stderr);
  const parts = new Map(
    result.stdout.split("=== ").slice(1).map((text): [string, string[]] => {
      const [name = "", ...lines] = text.trimEnd().split("\n");
      return [name, lines];
    }),
  );
  const lines = (name: string): string[] => parts.get(name) ?? [];
  const pairs = (name: string, separator: string): [string, string][] =>
    lines(name).map((line) => {
      const at = line.indexOf(separator);
      return [line.slice(0, at), line.slice(at + 1)];
    });
  const [user = "", uid, gid, groups = ""] = lines("user");
  return {
    user,
    uid: Number(uid),
    gid: Number(gid),
    groups: groups.split(" ").map(Number).sort((a, b) => a - b),
    env: Object.fromEntries(pairs("env", "=")),
    passwd: lines("passwd"),
    group: lines("group"),
    password: lines("password").join(""),
    mounts: Object.fromEntries(
      pairs("mounts", " ").filter(([path]) => !USUAL.test(path)).map(([path, options]) => [
        path,
        options.split(",").includes("ro") ? "ro" : "rw",
      ]),
    ),
    writable: Object.fromEntries(
      pairs("writable", " ").map(([answer, folder]) => [folder, answer === "yes"]),
    ),
    hasToken: lines("token").includes("yes"),
  };
}

/** Runs a command in a workspace. A failing one is a result, not an error. */
export async function run(cluster: Cluster, pod: KubeObject, command: string[]): Promise<CommandResult> {
  return await cluster.exec(pod.metadata.namespace ?? "", pod.metadata.name, command, "workspace");
}

/** Writes a file as the workspace's person; its folder is made. */
export async function writeFile(
  cluster: Cluster,
  pod: KubeObject,
  path: string,
  text: string,
): Promise<void> {
  // As an argument: on a busy machine kubectl may end a command's standard input before it was written to.
  const script = 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"';
  const result = await run(cluster, pod, ["sh", "-c", script, "sh", path, text]);
  assert.equal(result.code, 0, `write ${path}: ${result.stderr}`);
}

/** A file's text as the workspace's person reads it; null: it cannot be read. */
export async function readFile(cluster: Cluster, pod: KubeObject, path: string): Promise<string | null> {
  const { code, stdout } = await run(cluster, pod, ["cat", path]);
  return code === 0 ? stdout : null;
}

/** Which of these URLs a container can reach by packets: `tcp://`, `udp://` or `http://`. All are tried at once. */
export async function reach(
  cluster: Cluster,
  at: { namespace: string; pod: string; container?: string },
  urls: string[],
): Promise<Set<string>> {
  if (urls.length === 0) return new Set();
  const script = 'for url in "$@"; do probe get "$url" 2>&1 & done; wait';
  const result = await cluster.exec(at.namespace, at.pod, ["sh", "-c", script, "sh", ...urls], at.container);
  const answers = [...result.stdout.matchAll(/^(OK|BLOCKED) (\S+) /gm)];
  assert.equal(answers.length, urls.length, `${at.pod}: ${result.stdout}${result.stderr}`);
  return new Set(answers.filter(([, word]) => word === "OK").map(([, , url = ""]) => url));
}
