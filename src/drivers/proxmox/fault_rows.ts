/**
 * From what Proxmox VE answered, or how a task ended, to one of the four dispositions of DESIGN 6. Nearly everything is a
 * 500, so the text decides; none of it alone says that a VM is gone: with a narrow token a missing VM is a 403, and a
 * node's part of the API answers 500 for what is merely elsewhere. Who must know lists and looks.
 */
import { denied, lookAgain, privilege, type Row, said, status } from "./fault_row.ts";

const THEN = "then run wps jobs retry";

/** The first row that fits decides: what is specific comes first. */
export const FAULT_ROWS: readonly Row[] = [
  {
    means: "unauthenticated",
    why: "the token is wrong, expired or gone; answered after 3 s, without a body",
    when: status(401),
    disposition: "retry",
    reason: "denied",
    advice: () => "Renew the token in the file drivers.proxmox.tokenFile; it is read again for each request",
  },
  lookAgain(
    "pool-unseen",
    "a pool that is not there is a 403 where rights are asked of it, else a 500",
    (answer) => denied(/\(pool '.*' does not exist\)/)(answer) || said(/pool '.*' does not exist$/)(answer),
  ),
  {
    means: "vm-denied",
    why: "a right on a VM is missing, or the VM is: a token that is limited to a pool gets the same for both",
    when: denied(/\(\/vms\//),
    disposition: "stalled",
    reason: "denied",
    advice: (_asked, answer) =>
      `If the VM is still in WPS's pool, grant WPS's user and its token ${privilege(answer)}, ${THEN}`,
  },
  {
    means: "denied",
    why: "WPS's token lacks a right",
    when: status(403),
    disposition: "stalled",
    reason: "denied",
    advice: (_asked, answer) => `Grant WPS's user and its token ${privilege(answer)}, ${THEN}`,
  },
  {
    means: "disk-busy",
    why: "the guest does not let go of a disk; the detaching stays queued and happens when it stops",
    when: said(/^hotplug problem/),
    disposition: "wait",
    reason: "unavailable",
    advice: ({ target }) => `None needed: the disk leaves ${target} when that stops`,
  },
  lookAgain(
    "vmid-taken",
    "somebody took the number in between: what stands there is theirs and must never be destroyed for this",
    said(/^unable to create VM \d+: config file already exists$|^VM \d+ already exists$/),
  ),
  lookAgain(
    "pool-other",
    "a pool exists already, or does not hold what was seen",
    said(/^(create|update|delete) pools? failed: /),
  ),
  lookAgain("exists", "what was to be made is there already", said(/ already exists$/)),
  lookAgain(
    "task-unknown",
    "the node has no such task: it was never there, or its history is gone",
    said(/^no such task$|^unable to parse worker upid$/),
  ),
  {
    means: "storage-missing",
    why: "a storage that is not there, or not on this node",
    when: said(/^No such storage\.?$|^storage '.*' does not exist$/),
    disposition: "stalled",
    reason: "storage-class-missing",
    advice: () => `Make the storage, or correct its name in the configuration, ${THEN}`,
  },
  lookAgain(
    "firewall-other",
    "a set, alias, group or rule of the firewall is not there any more, or a set is not empty yet",
    said(/^no such (ipset|alias|security group) |^no rule at position |^IPSet '.*' is not empty$/i),
  ),
  lookAgain(
    "changed",
    "somebody wrote in between (invariant 9)",
    said(/^checksum mismatch \(file change|detected modified configuration - file changed by other user/),
  ),
  {
    means: "locked",
    why: "a clone, backup, migration or snapshot of the VM is under way",
    when: said(/VM is locked \([a-z-]+\)$/),
    disposition: "wait",
    reason: "unavailable",
    advice: ({ target }) =>
      `Wait until what holds ${target} has ended; qm unlock takes away a lock that was left behind`,
  },
  {
    means: "lock-timeout",
    why: "another process had the same file, or the storage, for longer than Proxmox VE waits (10 s)",
    when: said(/^can't lock file '.*' - got timeout$/),
    disposition: "retry",
    reason: "throttled",
    advice: () => "None needed; if it lasts, look at what is under way on the node and its storage",
    // Only the list of tasks is locked when the task has begun already (pve-common, RESTEnvironment: fork_worker).
    mayBeDone: ({ message }) => message.includes("/pve/tasks/"),
  },
  lookAgain(
    "vm-unseen",
    "this node has no such VM now: it is elsewhere, not there yet, or gone",
    said(
      /^Configuration file '.*' does not exist$|^(unable to find configuration file for|could not find target) VM /,
    ),
  ),
  {
    means: "protected",
    why: "protection=1 keeps a VM and its disks",
    when: said(/ - protection mode enabled$/),
    disposition: "stalled",
    reason: "policy-refused",
    advice: ({ target }) =>
      `Find out who protects ${target}, and why; if it may go, run qm set VMID --protection 0, ${THEN}`,
  },
  lookAgain("not-running", "the VM is off, and the call needs it on", said(/^VM \d+ (is )?not running$/)),
  lookAgain(
    "running",
    "the VM is on, and the call needs it off, or would only start it",
    said(
      /^VM \d+ (is running - destroy failed|already running)$|while the source VM is running|if VM is running$/,
    ),
  ),
  {
    means: "agent-silent",
    why: "the guest's agent is not up yet, or the template has none",
    when: said(/^QEMU guest agent is not running$/),
    disposition: "wait",
    reason: "unavailable",
    advice: ({ target }) =>
      `Wait until ${target} has booted; its template needs qemu-guest-agent and agent=1`,
  },
  {
    means: "guest-deaf",
    why: "a guest that does not act on the power button",
    when: said(/^VM quit\/powerdown failed - got timeout$/),
    disposition: "retry",
    reason: "timeout",
    advice: () => "None needed: WPS stops it",
  },
  {
    means: "node-unseen",
    why: "the cluster has no such node, or not any more",
    when: said(/^hostname lookup '.*' failed|^no such cluster node /),
    disposition: "retry",
    reason: "unavailable",
    advice: () => "Bring the node back, or correct its name in the configuration",
  },
  {
    means: "root-only",
    why: "options that Proxmox VE leaves to root@pam's own login, whatever a token may do",
    when: said(/^only root (can|may) /i),
    disposition: "stalled",
    reason: "denied",
    advice: () => "Take the option out of the configuration or template: no token may set it",
  },
  {
    means: "too-large",
    why: "the VM has more processors than the node",
    when: said(/^MAX \d+ vcpus allowed per VM on this node$/),
    disposition: "stalled",
    reason: "unschedulable",
    advice: () => `Give the tier fewer processors, or WPS a larger node, ${THEN}`,
  },
  {
    means: "no-memory",
    why: "the node has not enough free memory for the VM; only the task's log says so",
    when: ({ status, log }) => status === null && log.some((line) => line.endsWith("Cannot allocate memory")),
    disposition: "wait",
    reason: "unschedulable",
    advice: () => "Free memory on the node, or give WPS another one",
  },
  lookAgain(
    "disk-unseen",
    "the VM has not, or has already, the disk that was named",
    said(/^disk '\S+' (for VM '.*' )?does not exist$|^Target disk key '\S+' is already in use/i),
  ),
  {
    means: "volume-missing",
    why: "a configuration names a volume or file that its storage does not have",
    when: said(/^volume '.*' does not exist$/),
    disposition: "stalled",
    reason: "volume-lost",
    advice: () => `Restore the volume on its storage, or correct what names it, ${THEN}`,
  },
  {
    means: "bridge-missing",
    why: "a bridge is accepted in a configuration, and missed at the start",
    when: said(/^bridge '.*' does not exist$/),
    disposition: "stalled",
    reason: "invalid",
    advice: () => `Make the bridge on the node, or correct its name in the configuration, ${THEN}`,
  },
  lookAgain("ended", "somebody, or the node's shutdown, ended the task", said(/interrupted by signal$/)),
  {
    means: "refused",
    why: "the request itself is wrong: repeating it cannot help",
    when: (answer) =>
      answer.status === 400 ||
      said(/^(no options specified$|unable to parse |parameter '|snapshot '|you can't |Can't move disks)/)(
        answer,
      ) ||
      said(/validation error$|is not supported/)(answer),
    disposition: "stalled",
    reason: "invalid",
    advice: () =>
      `Correct the setting that the message names, ${THEN}; otherwise report it as a fault of WPS`,
  },
  {
    means: "unsupported",
    why: "this server has no such call, or takes no such body",
    when: (answer) => answer.status === 501 || answer.status === 506,
    disposition: "stalled",
    reason: "invalid",
    advice: () => "Update Proxmox VE to 9.0 or later; otherwise report it as a fault of WPS",
  },
  {
    means: "unreachable",
    why:
      "pveproxy could not connect to the daemon behind it, or to the node: nothing was done (AnyEvent::HTTP)",
    when: status(595),
    disposition: "retry",
    reason: "unavailable",
    advice: () => "Look at pvedaemon and pveproxy on the node (systemctl status pvedaemon pveproxy)",
  },
  {
    means: "cut-off",
    why:
      "pveproxy, or a proxy before it, lost the one behind it when the request had gone (AnyEvent::HTTP: 596 to 599)",
    when: status(502, 599),
    disposition: "retry",
    reason: "unavailable",
    advice: () => "Look at pvedaemon and pveproxy on the node, and at what stands between WPS and them",
    mayBeDone: () => true,
  },
  {
    means: "redirected",
    why: "the API is not at this address; WPS takes its token to nobody else",
    when: status(300, 399),
    disposition: "stalled",
    reason: "invalid",
    advice: () => `Set drivers.proxmox.url to the server's own address, ${THEN}`,
  },
  {
    means: "failed",
    why: "a failure that no row knows: it says nothing about how far it came",
    when: ({ status }) => status === null || status === 500,
    disposition: "retry",
    reason: "unavailable",
    advice: () => "Look at the task's log, and at journalctl -u pvedaemon on the node",
    mayBeDone: () => true,
  },
  {
    means: "unexpected",
    why: "a status that Proxmox VE does not use",
    when: () => true,
    disposition: "retry",
    reason: "internal",
    advice: () => "Look at what stands between WPS and Proxmox VE",
    mayBeDone: () => true,
  },
];
