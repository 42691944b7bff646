import type { Config } from "../config";
import { loginProviderOf } from "../config";

/** AWS credentials of the person who signed in. */
export interface Credentials {
  identityId: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  expiration: Date;
}

/** Credentials are fetched again this long before they expire. */
const MARGIN_MS = 5 * 60_000;

/** Turns the user pool's token into AWS credentials, by the identity pool. */
export class Identity {
  private current: Promise<Credentials> | undefined;

  constructor(
    private readonly config: Config,
    private readonly idToken: () => Promise<string>,
  ) {}

  /** Valid credentials. Who asks at the same time gets the same. */
  async credentials(): Promise<Credentials> {
    const known = this.current;
    if (known) {
      const credentials = await known;
      if (credentials.expiration.getTime() - Date.now() > MARGIN_MS) return credentials;
      if (this.current === known) this.current = undefined;
    }
    this.current ??= this.fetch().catch((error: unknown) => {
      this.current = undefined;
      throw error;
    });
    return this.current;
  }

  /** Forgets the credentials: a service does not take them any more. */
  forget(): void {
    this.current = undefined;
  }

  private async fetch(): Promise<Credentials> {
    const { CognitoIdentityClient, GetCredentialsForIdentityCommand, GetIdCommand } = await import("../aws/cognito");
    const { region, identityPoolId, endpoints } = this.config;
    const client = new CognitoIdentityClient({
      region,
      ...(endpoints.cognitoIdentity === undefined ? {} : { endpoint: endpoints.cognitoIdentity }),
    });
    const Logins = { [loginProviderOf(this.config)]: await this.idToken() };
    const { IdentityId } = await client.send(new GetIdCommand({ IdentityPoolId: identityPoolId, Logins }));
    const answer = await client.send(new GetCredentialsForIdentityCommand({ IdentityId, Logins }));
    const { AccessKeyId, SecretKey, SessionToken, Expiration } = answer.Credentials ?? {};
    if (!answer.IdentityId || !AccessKeyId || !SecretKey || !SessionToken) {
      throw new Error("The identity pool gave no credentials.");
    }
    return {
      identityId: answer.IdentityId,
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretKey,
      sessionToken: SessionToken,
      expiration: Expiration ?? new Date(Date.now() + 3_600_000),
    };
  }
}
