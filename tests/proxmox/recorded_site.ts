/** The site that was recorded: one node, a template, a token that may much and one that may little. */
import type { Site, TemplateSite } from "./sites.ts";
import type { Content, Storage } from "./state/volumes.ts";

const GIB = 1024 ** 3;

const words = (text: string): string[] => text.split(" ");

/** Secrets that protect nothing. */
const SECRETS = {
  t0: "11111111-1111-4111-8111-111111111111",
  t1: "22222222-2222-4222-8222-222222222222",
  adm: "33333333-3333-4333-8333-333333333333",
  rec: "44444444-4444-4444-8444-444444444444",
};

/** What follows `PVEAPIToken=`, by the names that the recordings have for who asks. */
export const RECORDED_TOKENS = {
  /** A wide role on all paths, but no right to change the cluster's firewall or anybody's rights. */
  broad: `prov@pve!t0=${SECRETS.t0}`,
  /** A separated token without any grant. */
  privsep: `prov@pve!t1=${SECRETS.t1}`,
  /** A token of root@pam, which is not root itself. */
  root: `root@pam!adm=${SECRETS.adm}`,
  /** One pool, one template, one storage, one bridge. */
  narrow: `wsp@pve!rec=${SECRETS.rec}`,
} as const;

const CONFIG = words("CDROM CPU Cloudinit Disk HWType Memory Network Options").map((kind) =>
  `VM.Config.${kind}`
);
const ROLES: Record<string, string[]> = {
  Broad: [
    ...CONFIG,
    ...words(
      "Datastore.AllocateSpace Datastore.Audit Pool.Allocate Pool.Audit SDN.Use Sys.Audit VM.Allocate",
    ),
    ...words("VM.Audit VM.Clone VM.Console VM.GuestAgent.Audit VM.PowerMgmt VM.Snapshot"),
  ],
  WsPool: [...CONFIG, ...words("Pool.Audit VM.Allocate VM.Audit VM.Clone VM.GuestAgent.Audit VM.PowerMgmt")],
  WsTmpl: words("VM.Audit VM.Clone"),
  WsStore: words("Datastore.AllocateSpace Datastore.Audit"),
  WsNet: ["SDN.Use"],
};

const IMAGES: Content[] = ["images", "rootdir"];
const FILES: Content[] = ["vztmpl", "snippets", "iso", "backup", "import"];
const STORAGES: Storage[] = [
  { id: "vmstore", path: "/srv/vmstore", content: IMAGES, totalBytes: 100 * GIB, otherBytes: GIB },
  { id: "local", path: "/var/lib/vz", content: FILES, totalBytes: 32 * GIB, otherBytes: GIB },
];

const TEMPLATE: TemplateSite = {
  vmid: 9000,
  node: "pve1",
  name: "tmpl",
  storage: "vmstore",
  config: {
    agent: "1",
    boot: "order=scsi0;ide2;net0",
    ciuser: "dev",
    cores: "1",
    cpu: "qemu64",
    kvm: "0",
    memory: "128",
    onboot: "0",
    scsihw: "virtio-scsi-single",
    serial0: "socket",
    tags: "tmpl;ws",
  },
  diskBytes: GIB,
  firewall: {
    options: { enable: "1", ipfilter: "1", policy_in: "DROP", policy_out: "DROP" },
    groups: ["ws-iso"],
  },
};

/** A token's grants count only where its user has them, too. */
const granted = (role: string): Record<string, string> => ({ "wsp@pve": role, "wsp@pve!rec": role });

const SITE: Site = {
  localNode: "pve1",
  nodes: [{
    name: "pve1",
    address: "10.77.0.1",
    cpus: 2,
    memoryBytes: 8 * GIB,
    bridges: { vmbr0: "10.77.0.1/24" },
    directories: ["/srv/project"],
  }],
  storages: STORAGES,
  templates: [TEMPLATE],
  pools: ["ws", "wsp", "zz"],
  roles: ROLES,
  users: {
    "prov@pve": {
      t0: { secret: SECRETS.t0, isSeparated: false },
      t1: { secret: SECRETS.t1, isSeparated: true },
    },
    "root@pam": { adm: { secret: SECRETS.adm, isSeparated: false } },
    "wsp@pve": { rec: { secret: SECRETS.rec, isSeparated: true } },
  },
  grants: {
    "/": { "prov@pve": "Broad" },
    "/pool/wsp": granted("WsPool"),
    "/vms/9000": granted("WsTmpl"),
    "/storage/vmstore": granted("WsStore"),
    "/sdn/zones/localnetwork/vmbr0": granted("WsNet"),
  },
  firewall: {
    options: { enable: "1", policy_in: "ACCEPT" },
    groups: {
      "ws-iso": [{
        type: "in",
        action: "ACCEPT",
        enable: 1,
        fields: new Map([["proto", "tcp"], ["dport", "22"]]),
      }],
    },
  },
};

/** The site, for whoever asks to change as it likes. */
export function recordedSite(): Site {
  return structuredClone(SITE);
}
