import { createHash, createSign, generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import type { Answer, Request } from "./http";

interface User {
  email: string;
  password: string;
  sub: string;
  code: string | undefined;
}

interface Grant {
  email: string;
  challenge: string;
  nonce: string | null;
  redirect: string;
}

/** Cognito as far as the page and its tests need it: hosted page, tokens and identity pool. */
export class Cognito {
  readonly clientId = "fakeclient";
  readonly poolId = "us-east-1_fake";
  readonly identityPoolId = "us-east-1:00000000-0000-0000-0000-000000000000";
  readonly users = new Map<string, User>();
  /** Identities by access key. */
  readonly keys = new Map<string, { identity: string; token: string }>();
  issuer = "";
  private readonly identities = new Map<string, string>();
  private readonly grants = new Map<string, Grant>();
  private readonly refreshTokens = new Map<string, { email: string; authTime: number }>();
  private readonly key = generateKeyPairSync("rsa", { modulusLength: 2048 });

  constructor(private readonly mail: (to: string, subject: string, text: string) => void) {}

  handle(request: Request): Answer {
    const { url, method } = request;
    const target = String(request.headers["x-amz-target"] ?? "");
    if (target.startsWith("AWSCognitoIdentityService.")) return this.identity(target.split(".")[1] ?? "", request);
    const form = new URLSearchParams(method === "POST" ? request.body.toString() : "");
    switch (`${method} ${url.pathname}`) {
      case "GET /oauth2/authorize":
        return { status: 302, headers: { location: `/login${url.search}` } };
      case "GET /login":
        return page("Sign in", url, "username password", '<a href="/signup{query}">Sign up</a>');
      case "POST /login":
        return this.signIn(url, form);
      case "GET /signup":
        return page("Sign up", url, "username password");
      case "POST /signup":
        return this.signUp(url, form);
      case "POST /confirm":
        return this.confirm(url, form);
      case "POST /oauth2/token":
        return this.token(form);
      case "POST /oauth2/revoke":
        this.refreshTokens.delete(form.get("token") ?? "");
        return {};
      case "GET /logout":
        return { status: 302, headers: { location: url.searchParams.get("logout_uri") ?? "" } };
      case `GET /${this.poolId}/.well-known/jwks.json`:
        return json(200, {
          keys: [{ ...this.key.publicKey.export({ format: "jwk" }), kid: "fake", use: "sig", alg: "RS256" }],
        });
      default:
        return { status: 404 };
    }
  }

  addUser(email: string, password: string): User {
    const user: User = { email, password, sub: randomUUID(), code: undefined };
    this.users.set(email, user);
    return user;
  }

  /** Makes every session end at its next refresh. */
  endSessions(): void {
    this.refreshTokens.clear();
  }

  private signIn(url: URL, form: URLSearchParams): Answer {
    const user = this.users.get(form.get("username") ?? "");
    if (!user || user.password !== form.get("password")) {
      return page("Sign in", url, "username password", "<p role=alert>Incorrect username or password.</p>");
    }
    if (user.code !== undefined) return page("Confirm", url, "code", "", `/confirm${url.search}&email=${user.email}`);
    return this.redirect(url, user);
  }

  private signUp(url: URL, form: URLSearchParams): Answer {
    const user = this.addUser(form.get("username") ?? "", form.get("password") ?? "");
    user.code = String(Math.floor(100_000 + Math.random() * 900_000));
    this.mail(user.email, "Your verification code", `Your confirmation code is ${user.code}`);
    return page("Confirm", url, "code", "", `/confirm${url.search}&email=${encodeURIComponent(user.email)}`);
  }

  private confirm(url: URL, form: URLSearchParams): Answer {
    const user = this.users.get(url.searchParams.get("email") ?? "");
    if (!user || user.code !== form.get("code")) {
      return page("Confirm", url, "code", "<p role=alert>Invalid code</p>", url.pathname + url.search);
    }
    user.code = undefined;
    return this.redirect(url, user);
  }

  private redirect(url: URL, user: User): Answer {
    const query = url.searchParams;
    const code = randomUUID();
    const redirect = query.get("redirect_uri") ?? "";
    this.grants.set(code, {
      email: user.email,
      challenge: query.get("code_challenge") ?? "",
      nonce: query.get("nonce"),
      redirect,
    });
    const back = new URL(redirect);
    back.searchParams.set("code", code);
    back.searchParams.set("state", query.get("state") ?? "");
    return { status: 302, headers: { location: back.href } };
  }

  private token(form: URLSearchParams): Answer {
    if (form.get("client_id") !== this.clientId) return json(400, { error: "invalid_client" });
    if (form.get("grant_type") === "refresh_token") {
      const known = this.refreshTokens.get(form.get("refresh_token") ?? "");
      return known ? json(200, this.tokens(known.email, null, known.authTime)) : json(400, { error: "invalid_grant" });
    }
    const grant = this.grants.get(form.get("code") ?? "");
    this.grants.delete(form.get("code") ?? "");
    const challenge = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (!grant || grant.challenge !== challenge || grant.redirect !== form.get("redirect_uri")) {
      return json(400, { error: "invalid_grant" });
    }
    const authTime = Math.floor(Date.now() / 1000);
    const refresh = randomUUID();
    this.refreshTokens.set(refresh, { email: grant.email, authTime });
    return json(200, { ...this.tokens(grant.email, grant.nonce, authTime), refresh_token: refresh });
  }

  private tokens(email: string, nonce: string | null, authTime: number) {
    const now = Math.floor(Date.now() / 1000);
    const sub = this.users.get(email)?.sub;
    const common = { sub, iss: this.issuer, auth_time: authTime, iat: now, exp: now + 3600 };
    return {
      id_token: this.sign({ ...common, aud: this.clientId, token_use: "id", email, ...(nonce && { nonce }) }),
      access_token: this.sign({ ...common, client_id: this.clientId, token_use: "access" }),
      token_type: "Bearer",
      expires_in: 3600,
    };
  }

  private sign(claims: object): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const text = `${part({ alg: "RS256", kid: "fake" })}.${part(claims)}`;
    return `${text}.${createSign("RSA-SHA256").update(text).sign(this.key.privateKey).toString("base64url")}`;
  }

  private identity(operation: string, request: Request): Answer {
    const body = JSON.parse(request.body.toString()) as { Logins?: Record<string, string> };
    const token = body.Logins?.[this.issuer.replace(/^https?:\/\//, "")];
    if (!token)
      return json(400, { __type: "NotAuthorizedException", message: "Token is not from a supported provider" });
    const { sub } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { sub: string };
    const identity = this.identities.get(sub) ?? `us-east-1:${randomUUID()}`;
    this.identities.set(sub, identity);
    if (operation === "GetId") return json(200, { IdentityId: identity });
    const access = `ASIA${randomBytes(8).toString("hex").toUpperCase()}`;
    const session = randomUUID();
    this.keys.set(access, { identity, token: session });
    return json(200, {
      IdentityId: identity,
      Credentials: {
        AccessKeyId: access,
        SecretKey: "secret",
        SessionToken: session,
        Expiration: Math.floor(Date.now() / 1000) + 3600,
      },
    });
  }
}

function json(status: number, body: object): Answer {
  return { status, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

const LABELS: Record<string, [string, string]> = {
  username: ["Email", "email"],
  password: ["Password", "password"],
  code: ["Code", "text"],
};

function page(title: string, url: URL, fields: string, more = "", action = url.pathname + url.search): Answer {
  const inputs = fields.split(" ").map((name) => {
    const [label, type] = LABELS[name] ?? [name, "text"];
    return `<p><label>${label} <input name="${name}" type="${type}" required></label></p>`;
  });
  const escaped = action.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
  const body = `<!doctype html><html lang="en"><title>${title}</title><h1>${title}</h1>
    <form method="post" action="${escaped}">${inputs.join("")}<button>${title}</button></form>
    ${more.replace("{query}", url.search.replaceAll("&", "&amp;"))}`;
  return { headers: { "content-type": "text/html; charset=utf-8" }, body };
}
