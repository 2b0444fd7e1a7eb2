/** Rules for the paths of one workspace's mounts. */
import type { MountRule, WorkspaceRule } from "../core/phase.ts";
import type { Finding } from "./finding.ts";

/** What an image's own system, WPS's mounts (/run/wps, /etc/passwd) and the kernel live in. */
const RESERVED = [
  "/bin",
  "/boot",
  "/dev",
  "/etc",
  "/lib",
  "/lib32",
  "/lib64",
  "/proc",
  "/root",
  "/run",
  "/sbin",
  "/sys",
  "/tmp",
  "/usr",
  "/var",
] as const;

const PLACEHOLDERS = ["{username}", "{owner}", "{holder}"] as const;

/** All that is wrong with the paths of a workspace, each path relative to the workspace. */
export function pathFindings(workspace: WorkspaceRule): Finding[] {
  const findings = workspace.mounts.flatMap((mount, index) =>
    pathProblems(workspace, mount).map((message): Finding => ({ path: ["mounts", index, "path"], message }))
  );
  workspace.mounts.forEach((mount, index) => {
    for (const earlier of workspace.mounts.slice(0, index)) {
      const relation = overlap(earlier.path, mount.path);
      if (relation === null) continue;
      const message =
        `${mount.path} ${relation} ${earlier.path} (${earlier.volume}); mount them side by side`;
      findings.push({ path: ["mounts", index, "path"], message });
    }
  });
  return findings;
}

function pathProblems(workspace: WorkspaceRule, mount: MountRule): string[] {
  const { path } = mount;
  const segments = path.split("/").slice(1);
  if (segments.some((part) => part === "" || part === "." || part === "..")) {
    return [`${path} is not normalised; expected no "//", ".", ".." and no "/" at the end`];
  }
  const reserved = RESERVED.find((folder) => path === folder || path.startsWith(`${folder}/`));
  if (reserved !== undefined) {
    return [
      `${path} lies in ${reserved}, which belongs to the image and to WPS; use e.g. /data/${mount.volume}`,
    ];
  }
  const problems = segments.flatMap((part) => segmentProblem(part, workspace, mount) ?? []);
  if (mount.of !== null && !segments.includes("{owner}")) {
    problems.push(`expected {owner} in the path, because there is one ${mount.volume} for each owner`);
  }
  return problems;
}

function segmentProblem(part: string, workspace: WorkspaceRule, mount: MountRule): string | null {
  if (/^[A-Za-z0-9._-]+$/.test(part)) return null;
  if (!PLACEHOLDERS.some((known) => known === part)) {
    const known = PLACEHOLDERS.join(", ");
    return `"${part}" is not allowed in a path; expected letters, digits, ".", "_", "-", or one of ${known} ` +
      "as a whole segment";
  }
  if (part === "{owner}" && mount.of === null) {
    return "{owner} needs of: (whose volume it is); the workspace's own person is {username}";
  }
  if (part === "{holder}" && workspace.role !== "dataHolder") {
    return "{holder} is only known in a workspace for each dataHolder";
  }
  return null;
}

/** How the second path stands to the first, where a placeholder may turn out as any name; null: apart. */
function overlap(first: string, second: string): "is also the path of" | "lies inside" | "contains" | null {
  const a = first.split("/").slice(1);
  const b = second.split("/").slice(1);
  const shorter = Math.min(a.length, b.length);
  for (let index = 0; index < shorter; index++) {
    const [left = "", right = ""] = [a[index], b[index]];
    if (left !== right && !left.includes("{") && !right.includes("{")) return null;
  }
  if (a.length === b.length) return "is also the path of";
  return a.length < b.length ? "lies inside" : "contains";
}
