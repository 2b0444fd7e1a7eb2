/** Keys and certificates for loopback, made by openssl when they are needed: none lies in the repository. */
import type { Keys } from "./server.ts";

/** All for localhost and 127.0.0.1 unless they say otherwise. */
export interface Certificates {
  /** The authority's certificate, PEM. */
  authority: string;
  /** Signed by it. */
  leaf: Keys;
  /** Signed by it, for another host. */
  elsewhere: Keys;
  /** Signed by it, until yesterday. */
  expired: Keys;
  /** Signed by it in X.509 version 1, which Deno takes without proof of the key. */
  old: Keys;
  /** Signed by an authority that it has signed; `cert` holds both. */
  chained: Keys;
  /** The authority between them. */
  intermediate: string;
  /** Signed by another authority, of the same name. */
  foreign: Keys;
  foreignAuthority: string;
  /** Signed by itself as openssl does it: an authority as well. */
  own: Keys;
  /** Signed by itself, no authority. */
  ownLeaf: Keys;
}

const NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const HOSTS = "subjectAltName=DNS:localhost,IP:127.0.0.1";

/** Makes them in a folder that is gone afterwards. */
export async function makeCertificates(): Promise<Certificates> {
  const folder = await Deno.makeTempDir();
  const openssl = async (line: string): Promise<void> => {
    const { success, stderr } = await new Deno.Command("openssl", { args: line.split(" "), cwd: folder })
      .output();
    if (!success) throw new Error(`openssl ${line}: ${new TextDecoder().decode(stderr)}`);
  };
  const read = (name: string): Promise<string> => Deno.readTextFile(`${folder}/${name}`);
  const keys = async (name: string): Promise<Keys> => ({
    cert: await read(`${name}.pem`),
    key: await read(`${name}.key`),
  });
  const signed = async (name: string, by: string, days: number, extensions: string | null): Promise<void> => {
    await openssl(`req ${NEW_KEY} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
    const sign =
      `x509 -req -in ${name}.csr -CA ${by}.pem -CAkey ${by}.key -CAcreateserial -days ${days} -out ${name}.pem`;
    if (extensions !== null) await Deno.writeTextFile(`${folder}/${name}.cnf`, extensions);
    await openssl(extensions === null ? sign : `${sign} -extfile ${name}.cnf`);
  };
  try {
    for (const name of ["authority", "foreign-authority"]) {
      await openssl(`req -x509 ${NEW_KEY} -keyout ${name}.key -out ${name}.pem -days 2 -subj /CN=Test`);
    }
    const leaf = `${HOSTS}\nbasicConstraints=CA:FALSE\n`;
    await signed("leaf", "authority", 2, leaf);
    await signed("elsewhere", "authority", 2, "subjectAltName=DNS:elsewhere\nbasicConstraints=CA:FALSE\n");
    await signed("expired", "authority", -1, leaf);
    await signed("old", "authority", 2, null);
    await signed("intermediate", "authority", 2, "basicConstraints=critical,CA:TRUE\n");
    await signed("chained", "intermediate", 2, leaf);
    await signed("foreign", "foreign-authority", 2, leaf);
    const self = (name: string): string =>
      `req -x509 ${NEW_KEY} -keyout ${name}.key -out ${name}.pem -days 2 -subj /CN=localhost -addext ${HOSTS}`;
    await openssl(self("own"));
    await openssl(`${self("own-leaf")} -addext basicConstraints=critical,CA:FALSE`);
    const chained = await keys("chained"), intermediate = await read("intermediate.pem");
    return {
      authority: await read("authority.pem"),
      leaf: await keys("leaf"),
      elsewhere: await keys("elsewhere"),
      expired: await keys("expired"),
      old: await keys("old"),
      chained: { ...chained, cert: chained.cert + intermediate },
      intermediate,
      foreign: await keys("foreign"),
      foreignAuthority: await read("foreign-authority.pem"),
      own: await keys("own"),
      ownLeaf: await keys("own-leaf"),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
