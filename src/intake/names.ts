/** Names that end in paths, accounts and file ownership: what may be one. */

/** useradd's bound on Linux (utmp); POSIX asks for at least 9. */
const USERNAME_MAX = 32;
/** A holder's id is a path component and part of a volume key; object names are derived and bounded elsewhere. */
const HOLDER_ID_MAX = 63;

/**
 * System accounts of Debian's base-passwd and of common images: a person under such a name would be taken for it
 * in logs, or clash with the image's own /etc/passwd.
 */
const RESERVED = new Set(
  (`root toor admin administrator daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc ` +
    `gnats nobody nogroup adm operator shutdown halt ftp sshd messagebus polkitd dbus wps`).split(" "),
);
/** Families of system accounts. */
const RESERVED_PREFIX = /^(_apt|systemd-|kube-)/;

/** Why a text cannot be a username, or null: POSIX' portable set (XBD 3.437), as Linux tools bear it. */
export function usernameFault(name: string): string | null {
  if (name.length > USERNAME_MAX) return `is longer than ${USERNAME_MAX} characters`;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) {
    return 'must be a POSIX username: letters, digits, ".", "_" and "-", not beginning with "." or "-"';
  }
  if (/^\d+$/.test(name)) return "must not be a number: tools would take it for a uid";
  const lower = name.toLowerCase();
  if (RESERVED.has(lower) || RESERVED_PREFIX.test(lower) || isInherited(name)) return "is a reserved name";
  return null;
}

/** Why a text cannot be a data holder's id, or null: one plain path component. */
export function holderIdFault(id: string): string | null {
  if (id.length > HOLDER_ID_MAX) return `is longer than ${HOLDER_ID_MAX} characters`;
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(id) || id.includes("..")) {
    return 'must be letters, digits, ".", "_" and "-", beginning with a letter or digit, without ".."';
  }
  return isInherited(id) ? "is a reserved name" : null;
}

/** Names that every JavaScript object answers to ("constructor", "__proto__"): never a key of anything. */
function isInherited(name: string): boolean {
  return name in {};
}
