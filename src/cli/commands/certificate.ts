/** `wps certificate PERMIT`, `wps certificate --verify FILE --key FILE`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import type { CertificateAnswer } from "../../api/schemas/certificates.ts";
import {
  certificateFaults,
  isSignedCertificate,
  type SignedCertificate,
  type TrustedKey,
} from "../../core/certificate.ts";
import { choiceOption, type CommandParser, serviceCommand } from "../args.ts";
import { segment } from "../client.ts";
import type { Context } from "../context.ts";
import { CliError, EXIT, type ExitCode } from "../exit.ts";
import { loadHeavy } from "../heavy.ts";

/** A certificate of ten thousand objects has some 5 MB. */
const FILE_BYTES_MAX = 64 * 1024 * 1024;

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "certificate",
    brief: "What a deletion destroyed and that it is gone, signed",
    description:
      "Prints the certificates of a deleted permit and verifies them: with --key by a public key that you " +
      "trust, else by the site's own key. --verify reads what --json printed, offline, and needs --key. Ends with 1 " +
      "where anything was altered or something was still there. Works from the database when the service is down.",
    examples: [
      ["wps certificate permit-001", "for people"],
      ["wps certificate permit-001 --json > permit-001.json", "to hand out"],
      ["wps certificate --verify permit-001.json --key site-ed25519.pub", "anywhere, without the service"],
    ],
  },
  object({
    permit: optional(argument(string({ metavar: "PERMIT" }), { description: message`The permit's id` })),
    verify: choiceOption("--verify", string({ metavar: "FILE" }), "Verify certificates that were saved"),
    key: choiceOption("--key", string({ metavar: "FILE" }), "Public key that you trust, in PEM"),
  }),
  async ({ permit, verify, key }, common, context) => {
    if ((permit === undefined) === (verify === undefined)) {
      throw new CliError(EXIT.usage, "Cannot choose a certificate: name a permit, or a file with --verify", {
        advice: ["Run wps certificate --help"],
      });
    }
    if (verify !== undefined) return await verifyFile(verify, key, common.json, context);
    const client = context.surroundings.connect(common);
    const answer = await client.get<CertificateAnswer>(`/permits/${segment(permit ?? "")}/certificate`);
    const items: SignedCertificate[] = answer.items.map(({ verdict: _, ...signed }) => signed);
    if (key !== undefined) return await tell(items, await trusted(key), common.json, context);
    const faults = answer.items.filter(({ verdict }) => verdict !== "valid").map(({ certificate, verdict }) =>
      verdict === "invalid"
        ? `certificate ${certificate.serial} was altered: its signature does not fit`
        : `certificate ${certificate.serial} was signed by ${certificate.keyId}, which the site no longer has: give its ` +
          "public key with --key"
    );
    return await show(items, faults, `the site's key ${answer.publicKey?.id ?? ""}`, common.json, context);
  },
);

async function verifyFile(
  file: string,
  key: string | undefined,
  json: boolean,
  context: Context,
): Promise<ExitCode> {
  if (key === undefined) {
    throw new CliError(EXIT.usage, `Cannot verify ${file}: no key is trusted`, {
      advice: [
        "Name the site's public key, which you got another way than with the certificate, with --key FILE",
      ],
    });
  }
  return await tell(certificatesIn(await readText(file), file), await trusted(key), json, context);
}

async function tell(
  items: SignedCertificate[],
  key: TrustedKey,
  json: boolean,
  context: Context,
): Promise<ExitCode> {
  return await show(items, certificateFaults(items, key), `the trusted key ${key.id}`, json, context);
}

/** What was altered is not shown: it says nothing. */
async function show(
  items: SignedCertificate[],
  faults: string[],
  by: string,
  json: boolean,
  context: Context,
): Promise<ExitCode> {
  if (faults.length > 0) {
    throw new CliError(EXIT.failed, "Cannot trust this certificate: it does not verify", {
      details: faults,
      advice: ["Do not rely on it; ask the site for the certificate and its public key again"],
    });
  }
  const { certificateLines } = await import("../render/certificate.ts");
  const { signs } = context.style;
  context.show(json, items, (signed) => [
    ...signed.flatMap(({ certificate }) => [...certificateLines(context.style, certificate), ""]),
    `${signs.ok} signature${signed.length === 1 ? "" : "s"} verified with ${by}`,
  ]);
  return items.every(({ certificate }) => certificate.complete) ? EXIT.done : EXIT.failed;
}

function certificatesIn(text: string, file: string): SignedCertificate[] {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    throw notOne(file);
  }
  const items: unknown[] = Array.isArray(read) ? read : [read];
  const signed = items.filter(isSignedCertificate);
  if (signed.length === 0 || signed.length < items.length) throw notOne(file);
  return signed;
}

function notOne(file: string): CliError {
  return new CliError(EXIT.failed, `Cannot verify ${file}: it holds no certificate`, {
    advice: ["It was to be made by wps certificate PERMIT --json"],
  });
}

async function trusted(file: string): Promise<TrustedKey> {
  const { publicKeyOf } = await loadHeavy("../store/site_key.ts");
  return publicKeyOf(await readText(file), file);
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await Deno.stat(file);
    if (size > FILE_BYTES_MAX) throw new Error(`it has ${size} bytes, at most ${FILE_BYTES_MAX}`);
    return await Deno.readTextFile(file);
  } catch (thrown) {
    throw new CliError(
      EXIT.failed,
      `Cannot read ${file}: ${thrown instanceof Error ? thrown.message : thrown}`,
      {
        advice: ["Name a file that can be read"],
      },
    );
  }
}
