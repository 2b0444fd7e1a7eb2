/** What workspaces are made of: accounts, images, tiers, storage classes. */
import { z } from "zod";
import type { Tier } from "../../core/site.ts";
import { cpu, flag, section, size, text } from "../fields.ts";

/** The first uid of ordinary people; lower ones belong to the system (DESIGN 4). */
const UID_MIN = 1000;
/** Linux: the largest signed 32-bit id; Kubernetes refuses larger ones in runAsUser. */
const UID_MAX = 2_147_483_647;
/** nobody (65534) and the 16-bit -1 (65535) mean something else everywhere. */
const UID_NOBODY = [65_534, 65_535] as const;
/** Fewer could not even hold the people of a few permits. */
const UIDS_MIN = 100;

/** The version of the images that belong to this release. */
const IMAGE_TAG = "0.1.0";
/** `localhost/` is what build tools call images of the site's own; nothing is ever pulled from a stranger. */
const DEFAULT_IMAGES = [
  "research",
  "preprocessing",
  "preparation-review",
  "setup-review",
  "airlock",
  "tools",
] as const;

/** `accounts:`: uids leased to people who come without one. Both ends belong to it. */
export interface AccountsSettings {
  uidRange: readonly [from: number, to: number];
}

/** The image of one workspace kind. */
export interface ImageSettings {
  /** With a digest or a fixed tag. */
  reference: string;
  /** Whether the root file system can be mounted read-only. */
  readOnlyRoot: boolean;
}

/** `volumes:`. */
export interface VolumesSettings {
  /** Pins a permit's pods to one node where the site has no ReadWriteMany class. */
  singleNode: boolean;
}

/** `accounts:`. */
export const accountsSection: z.ZodType<AccountsSettings> = section({
  uidRange: text(/^\d{1,10}-\d{1,10}$/, "a range such as 30000-39999").transform(
    (given, context): readonly [number, number] => {
      const [min = 0, max = 0] = given.split("-").map(Number);
      const refuse = (message: string): void => context.addIssue({ code: "custom", message });
      if (min < UID_MIN) {
        refuse(`expected a range that begins at ${UID_MIN} or higher: lower uids are the system's`);
      } else if (max > UID_MAX) refuse(`expected a range that ends at ${UID_MAX} or lower`);
      else if (max - min + 1 < UIDS_MIN) {
        refuse(`expected a range of at least ${UIDS_MIN} uids, lower end first`);
      } else if (UID_NOBODY.some((uid) => uid >= min && uid <= max)) {
        refuse(`expected a range without ${UID_NOBODY.join(" and ")}, which mean nobody`);
      }
      return [min, max];
    },
  ).prefault("30000-39999"),
}).prefault({});

const IMAGE =
  /^(?<name>([A-Za-z0-9.-]+(:\d{1,5})?\/)?[a-z0-9]+([._/-]+[a-z0-9]+)*)(:(?<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(@(?<digest>sha256:[0-9a-f]{64}))?$/;

const imageName = z.string({ error: "expected an image such as registry.site/research@sha256:…" })
  .superRefine(
    (given, context) => {
      const groups = IMAGE.exec(given)?.groups;
      const message = groups === undefined
        ? "expected an image such as registry.site/research@sha256:… or registry.site/research:1.4.2"
        : groups.digest !== undefined
        ? null
        : groups.tag === undefined
        ? 'expected a digest or a tag: without either it means "latest", which changes under a running permit'
        : groups.tag.toLowerCase() === "latest"
        ? 'expected a digest or a fixed tag: "latest" changes under a running permit'
        : null;
      if (message !== null) context.addIssue({ code: "custom", message });
    },
  );

const image = z.union([
  imageName,
  section({
    image: imageName,
    readOnlyRoot: flag().default(true),
  }),
], { error: "expected an image, or a mapping of image and readOnlyRoot" }).transform(
  (given): ImageSettings =>
    typeof given === "string"
      ? { reference: given, readOnlyRoot: true }
      : { reference: given.image, readOnlyRoot: given.readOnlyRoot },
);

const kind = text(/^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/, "a name of lower-case letters, digits and dashes");

/** `images:` by workspace kind, and `tools` (consolidation, isolation gate). The defaults stay for what it omits. */
export const imagesSection: z.ZodType<Record<string, ImageSettings>> = z.record(kind, image, {
  error: "expected a mapping of workspace kinds to images",
}).prefault({}).transform((given) => ({ ...defaultImages(), ...given }));

/** "localhost/wps/research:0.1.0" and its kin, as `deploy/images` builds them. */
function defaultImages(): Record<string, ImageSettings> {
  return Object.fromEntries(
    DEFAULT_IMAGES.map((name) => [
      name,
      { reference: `localhost/wps/${name}:${IMAGE_TAG}`, readOnlyRoot: true },
    ]),
  );
}

const tier = z.object({ cpu: cpu(), memory: size() }, { error: "expected a mapping (key: value)" })
  .catchall(size()).superRefine((given, context) => {
    for (const name of Object.keys(given)) {
      if (kind.safeParse(name).success) continue;
      const message = `expected cpu, memory, or a volume's name; "${name}" cannot be one`;
      context.addIssue({ code: "custom", path: [name], message });
    }
  }).transform(({ cpu: processors, memory, ...sizes }): Tier => ({ cpu: processors, memory, sizes }));

const DEFAULT_TIERS: Record<string, Tier> = { standard: { cpu: "4", memory: "16Gi", sizes: {} } };

/** `tiers:`: resources of a workspace and sizes of volumes by name. */
export const tiersSection: z.ZodType<Record<string, Tier>> = z.record(kind, tier, {
  error: "expected a mapping of tier names",
}).refine((given) => Object.keys(given).length > 0, { error: "expected at least one tier" })
  .default(DEFAULT_TIERS);

/** `volumes:`. */
export const volumesSection: z.ZodType<VolumesSettings> = section({
  singleNode: flag().default(false),
}).prefault({});
