import { ErrorResponse, type User, UserManager, WebStorageStateStore } from "oidc-client-ts";
import { SessionEnded } from "../aws/problem";
import { NetworkError } from "../aws/xhr";
import { type Config, issuerOf } from "../config";
import { RESUME_NAME } from "../upload/resume";
import { Identity } from "./identity";
import { safePath } from "./path";

/** Who is signed in. */
export interface SessionState {
  /** The e-mail address of who signed in; nothing if nobody did. */
  user: string | undefined;
  /** Whether a session has ended while the page was open. */
  ended: boolean;
  /** Why signing in failed. */
  failure: string | undefined;
}

/** By this a window knows that it was opened only to sign in: it begins with a copy of the session storage. */
const IN_A_WINDOW = "intake.window";
/** Tokens are renewed this long before they expire. */
const MARGIN_SECONDS = 60;

/**
 * Signs people in with Cognito's hosted page: authorization code, PKCE, state and nonce.
 *
 * Tokens are in the session storage of this one tab: a reload keeps the session, closing the tab ends it. The trade-off
 * is in README.md.
 */
export class Session {
  readonly identity: Identity;
  private readonly manager: UserManager;
  private user: User | null = null;
  /** Whose session has ended. */
  private subject: string | undefined;
  private window: AbortController | undefined;
  private renewal: Promise<User> | undefined;
  private state: SessionState = { user: undefined, ended: false, failure: undefined };
  private readonly listeners = new Set<() => void>();
  private readonly signedIn = new Set<() => void>();

  constructor(
    private readonly config: Config,
    private readonly home: string,
  ) {
    const { signInUrl, userPoolClientId } = config;
    const issuer = issuerOf(config);
    this.manager = new UserManager({
      authority: issuer,
      // All of it is known: no request for the discovery document, and none that could be tampered with.
      metadata: {
        issuer,
        authorization_endpoint: `${signInUrl}/oauth2/authorize`,
        token_endpoint: `${signInUrl}/oauth2/token`,
        revocation_endpoint: `${signInUrl}/oauth2/revoke`,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
      },
      client_id: userPoolClientId,
      redirect_uri: home,
      popup_redirect_uri: home,
      response_type: "code",
      scope: "openid email profile",
      loadUserInfo: false,
      automaticSilentRenew: false,
      monitorSession: false,
      revokeTokenTypes: ["refresh_token"],
      userStore: new WebStorageStateStore({ store: sessionStorage }),
      stateStore: new WebStorageStateStore({ store: sessionStorage }),
    });
    this.identity = new Identity(config, () => this.idToken());
  }

  /**
   * Finishes signing in if this is the way back from it, and gives the path to show. `closing` if this is the window in
   * which somebody signed in again: the page that opened it goes on.
   */
  async begin(location: Location): Promise<string | "closing" | undefined> {
    const parameters = new URLSearchParams(location.search);
    const isAnswer = parameters.has("state") && (parameters.has("code") || parameters.has("error"));
    if (isAnswer && sessionStorage.getItem(IN_A_WINDOW) !== null) {
      await this.manager.signinPopupCallback(location.href);
      return "closing";
    }
    if (isAnswer) {
      try {
        this.user = await this.manager.signinRedirectCallback(location.href);
        this.become({ user: nameOf(this.user) });
        return safePath(this.user.state);
      } catch (error) {
        this.become({ failure: failureOf(error) });
        return "/";
      }
    }
    this.user = await this.manager.getUser();
    const usable = this.user && (!this.user.expired || this.user.refresh_token);
    if (this.user && !usable) await this.manager.removeUser();
    if (usable) this.become({ user: nameOf(this.user as User) });
    return undefined;
  }

  /** Goes to the sign-in page, and after that to `path`. */
  async signIn(path: string): Promise<void> {
    await this.manager.signinRedirect({ state: path, nonce: crypto.randomUUID() });
  }

  /**
   * Signs in again in a window of its own, so that what is on the page stays: chosen files, corrections, uploads. Must be
   * called when somebody clicks, or browsers do not open the window.
   */
  async signInAgain(): Promise<void> {
    // What another window was opened for before is over.
    this.window?.abort();
    const window = new AbortController();
    this.window = window;
    const before = this.subject;
    sessionStorage.setItem(IN_A_WINDOW, "");
    const signingIn = this.manager.signinPopup({
      nonce: crypto.randomUUID(),
      popupWindowTarget: "intake-sign-in",
      popupSignal: window.signal,
    });
    sessionStorage.removeItem(IN_A_WINDOW);
    const user = await signingIn.catch((error: unknown) => {
      if (window.signal.aborted) return undefined;
      throw error;
    });
    if (!user) return;
    if (user.profile.sub !== before) {
      // Somebody else: nothing of what is here is theirs.
      location.assign(this.home);
      return;
    }
    this.user = user;
    this.become({ user: nameOf(user) });
    for (const listener of this.signedIn) listener();
  }

  /** Calls `listener` whenever somebody has signed in again, until the returned function is called. */
  onSignedIn(listener: () => void): () => void {
    this.signedIn.add(listener);
    return () => this.signedIn.delete(listener);
  }

  /** Ends the session here and at Cognito. */
  async signOut(): Promise<void> {
    // What is still asked for in the background must not renew what is being revoked.
    this.user = null;
    // Revoking is a courtesy to the next person at this computer; being offline must not prevent signing out.
    await this.manager.revokeTokens().catch(() => undefined);
    await this.manager.removeUser();
    this.identity.forget();
    // Whoever comes next at this computer learns nothing of what was uploaded.
    sessionStorage.clear();
    localStorage.removeItem(RESUME_NAME);
    const query = new URLSearchParams({ client_id: this.config.userPoolClientId, logout_uri: this.home });
    window.location.assign(`${this.config.signInUrl}/logout?${query}`);
  }

  /** Makes tokens and credentials be fetched anew: a service did not take them. */
  async renew(): Promise<void> {
    this.identity.forget();
    await this.renewed();
  }

  private async idToken(): Promise<string> {
    const user = this.user;
    if (!user) throw new SessionEnded();
    const fresh = (user.expires_in ?? 0) > MARGIN_SECONDS ? user : await this.renewed();
    if (!fresh.id_token) throw new SessionEnded();
    return fresh.id_token;
  }

  private renewed(): Promise<User> {
    this.renewal ??= this.refresh().finally(() => {
      this.renewal = undefined;
    });
    return this.renewal;
  }

  private async refresh(): Promise<User> {
    // Signed out: the page is on its way to Cognito.
    if (!this.user) throw new SessionEnded();
    // Without a refresh token in the store, oidc-client-ts would open a frame, which the page's policy forbids.
    if (!(await this.manager.getUser())?.refresh_token) return this.end();
    try {
      const user = await this.manager.signinSilent();
      if (!user) return this.end();
      this.user = user;
      return user;
    } catch (error) {
      // What Cognito refuses is over; what cannot be asked is not.
      if (error instanceof ErrorResponse) return this.end();
      throw error instanceof TypeError || (error as Error).name === "ErrorTimeout"
        ? new NetworkError("Cognito cannot be reached")
        : error;
    }
  }

  private async end(): Promise<never> {
    await this.manager.removeUser();
    this.subject = this.user?.profile.sub ?? this.subject;
    this.user = null;
    this.identity.forget();
    this.become({ user: this.state.user, ended: true });
    throw new SessionEnded();
  }

  /** Calls `listener` whenever the state changes, until the returned function is called. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): SessionState => this.state;

  private become(state: Partial<SessionState>): void {
    this.state = { user: undefined, ended: false, failure: undefined, ...state };
    for (const listener of this.listeners) listener();
  }
}

function nameOf(user: User): string {
  return user.profile.email ?? user.profile.sub;
}

function failureOf(error: unknown): string {
  if (error instanceof ErrorResponse)
    return error.error_description ?? error.error ?? "Cognito refused to sign you in.";
  const message = error instanceof Error ? error.message : "";
  // A reload of the way back, or a link that somebody kept.
  if (/state/i.test(message)) return "This sign-in was not begun in this tab, or is over already.";
  return message || "Signing in failed.";
}
