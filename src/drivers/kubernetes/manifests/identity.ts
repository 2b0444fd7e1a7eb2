/** A workspace's Secret: who it runs as, and how it is entered (DESIGN 4: accounts). */
import { Fault } from "../../../core/fault.ts";
import { permitName, workspaceName } from "../../../core/names.ts";
import { type DesiredWorkspace, identityHash } from "../../../core/workspace.ts";
import { NOTE } from "../marks.ts";
import type { Manifest } from "../wire.ts";
import { homeOf, workspaceMarks } from "./workspace.ts";

/** What only the store knows. */
export interface Credentials {
  password: string;
  /** SFTP only: the holder's host key, OpenSSH PEM. */
  hostKey: string | null;
}

/** Field separators of passwd(5) and group(5). */
const UNSAFE = /[:\n\0]/;

/** The Secret with password, passwd, group and, for SFTP, keys. */
export function secretManifest(
  permitId: string,
  workspace: DesiredWorkspace,
  { password, hostKey }: Credentials,
): Manifest<"secrets"> {
  const texts: Record<string, string> = {
    password,
    passwd: passwdText(workspace),
    group: groupText(workspace),
    ...(workspace.protocol === "sftp"
      ? {
        authorized_keys: workspace.sshPublicKeys.map((key) => `${key}\n`).join(""),
        ssh_host_key: hostKey ?? "",
      }
      : {}),
  };
  return {
    metadata: {
      name: workspaceName(workspace.key),
      namespace: permitName(permitId),
      ...workspaceMarks(permitId, workspace, { [NOTE.identityHash]: identityHash(workspace) }),
    },
    type: "Opaque",
    data: Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, new TextEncoder().encode(text).toBase64()]),
    ),
  };
}

/** passwd(5): the person, and the two accounts that programs expect. */
export function passwdText(workspace: DesiredWorkspace): string {
  const { username, uid, gid } = workspace.account;
  const home = homeOf(workspace);
  if (UNSAFE.test(username) || UNSAFE.test(home)) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot write passwd for ${workspace.key}: its name or home has a colon or line break`,
      {
        advice: "Correct the username or the phase's mount path",
      },
    );
  }
  return [
    "root:x:0:0:root:/root:/sbin/nologin",
    "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin",
    `${username}:x:${uid}:${gid}:${username}:${home}:/bin/sh`,
    "",
  ].join("\n");
}

/** group(5): the person's own group, and the permit's, through which its pods share files. */
export function groupText({ account: { username, gid }, fsGroup }: DesiredWorkspace): string {
  const permit = gid === fsGroup ? [] : [`permit:x:${fsGroup}:${username}`];
  return ["root:x:0:", "nogroup:x:65534:", `${username}:x:${gid}:`, ...permit, ""].join("\n");
}
