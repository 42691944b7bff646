/** What the page must know of where it runs: `config.json`, written by the deploy step. See README.md. */
export interface Config {
  region: string;
  userPoolId: string;
  userPoolClientId: string;
  identityPoolId: string;
  /** Cognito's hosted UI, without a path. */
  signInUrl: string;
  bucket: string;
  table: string;
  jobsTable: string;
  /** Name of the topic, to tell people what to subscribe to. */
  topic?: string;
  /** The user pool's issuer, if it is not AWS's for the region and the pool. */
  issuer?: string;
  /** Services that are not at AWS's addresses. S3 is addressed by path then. */
  endpoints: { s3?: string; dynamodb?: string; cognitoIdentity?: string };
  /** Where messages can be read, which only a local stack has. */
  inboxUrl?: string;
}

/** What is wrong with `config.json`. */
export class ConfigError extends Error {}

const REQUIRED = [
  "region",
  "userPoolId",
  "userPoolClientId",
  "identityPoolId",
  "signInUrl",
  "bucket",
  "table",
  "jobsTable",
] as const;

/** Checks what `config.json` holds. */
export function parseConfig(text: string): Config {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    throw new ConfigError("config.json is missing, or no JSON");
  }
  if (typeof found !== "object" || found === null || Array.isArray(found)) {
    throw new ConfigError("config.json is no JSON object");
  }
  const values = found as Record<string, unknown>;
  const string = (name: string, value: unknown): string => {
    if (typeof value !== "string" || value === "") throw new ConfigError(`config.json has no "${name}"`);
    return value;
  };
  const url = (name: string, value: unknown): string => {
    const text = string(name, value);
    if (!/^https?:\/\/[^/\s]+/.test(text)) throw new ConfigError(`"${name}" in config.json is no URL`);
    return text.replace(/\/$/, "");
  };
  const config = Object.fromEntries(REQUIRED.map((name) => [name, string(name, values[name])])) as unknown as Config;
  config.signInUrl = url("signInUrl", config.signInUrl);
  if (values.topic !== undefined) config.topic = string("topic", values.topic);
  if (values.issuer !== undefined) config.issuer = url("issuer", values.issuer);
  if (values.inboxUrl !== undefined) config.inboxUrl = string("inboxUrl", values.inboxUrl);
  const endpoints = (values.endpoints ?? {}) as Record<string, unknown>;
  config.endpoints = {};
  for (const name of ["s3", "dynamodb", "cognitoIdentity"] as const) {
    if (endpoints[name] !== undefined) config.endpoints[name] = url(`endpoints.${name}`, endpoints[name]);
  }
  return config;
}

/** The issuer of the user pool's tokens. */
export function issuerOf(config: Config): string {
  const suffix = config.region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return config.issuer ?? `https://cognito-idp.${config.region}.${suffix}/${config.userPoolId}`;
}

/** The user pool as an identity pool names it: the issuer without its scheme. */
export function loginProviderOf(config: Config): string {
  return issuerOf(config).replace(/^https?:\/\//, "");
}
