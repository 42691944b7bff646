//! The hosted pages: forms without scripts.

use std::fmt::Write as _;

/// The style sheet, a file of its own so that nothing is inline.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; font-family: system-ui, sans-serif; }
body { margin: 0; display: grid; place-items: center; min-height: 100vh; }
main { box-sizing: border-box; width: min(100%, 26rem); padding: 1.5rem; }
h1 { font-size: 1.4rem; }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; }
button { margin: 1.25rem 0 0; padding: .55rem 1.5rem; font: inherit; font-weight: 600; cursor: pointer; }
button.link { padding: 0; margin: 0; border: 0; background: none; color: LinkText; text-decoration: underline; }
[role=alert] { border-left: .3rem solid #c2240f; padding: .5rem .75rem; }
[role=status] { border-left: .3rem solid #0b7a30; padding: .5rem .75rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; }
";

/// Text as HTML, also within quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// What is told above a form.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Notice<'a> {
    #[default]
    None,
    Success(&'a str),
    Error(&'a str),
}

impl Notice<'_> {
    fn html(self) -> String {
        let (role, text) = match self {
            Self::None => return String::new(),
            Self::Success(text) => ("status", text),
            Self::Error(text) => ("alert", text),
        };
        format!("<p role=\"{role}\">{}</p>\n", escape(text))
    }
}

/// What all forms of one request share.
#[derive(Debug, Clone, Copy)]
pub(super) struct FormContext<'a> {
    /// Query that says where to go on after signing in.
    pub(super) query: &'a str,
    /// Against forged requests: also in a cookie.
    pub(super) token: &'a str,
    pub(super) notice: Notice<'a>,
    /// What was typed as the address, or is known.
    pub(super) address: &'a str,
}

/// A whole page; `main` is HTML.
pub(super) fn page(title: &str, main: &str) -> String {
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>{title} · Intake</title>
<link rel=\"icon\" href=\"data:,\">
<link rel=\"stylesheet\" href=\"/style.css\">
</head>
<body>
<main>
<h1>{title}</h1>
{main}<footer>Local stand-in for Amazon Cognito. E-mails are not sent: they are in the \
<a href=\"/inbox\" target=\"_blank\" rel=\"noopener\">inbox</a>.</footer>
</main>
</body>
</html>
",
        title = escape(title)
    )
}

/// A form whose fields are HTML.
fn form(action: &str, context: FormContext<'_>, fields: &str, button: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{action}?{}\">\n<input type=\"hidden\" name=\"_csrf\" value=\"{}\">\n\
         {fields}{button}\n</form>\n",
        escape(context.query),
        escape(context.token)
    )
}

fn address_field(context: FormContext<'_>) -> String {
    format!(
        "<label for=\"username\">E-mail</label>\n<input id=\"username\" name=\"username\" type=\"email\" \
         autocomplete=\"username\" required value=\"{}\">\n",
        escape(context.address)
    )
}

fn password_field(autocomplete: &str, hint: &str) -> String {
    format!(
        "<label for=\"password\">Password</label>\n<input id=\"password\" name=\"password\" type=\"password\" \
         autocomplete=\"{autocomplete}\" required>\n{hint}"
    )
}

fn link(path: &str, context: FormContext<'_>, text: &str) -> String {
    let query = escape(context.query);
    format!("<p><a href=\"{path}?{query}\">{text}</a></p>\n")
}

/// `/login`.
pub(super) fn login(context: FormContext<'_>) -> String {
    let fields = address_field(context) + &password_field("current-password", "");
    let form = form(
        "/login",
        context,
        &fields,
        "<button type=\"submit\">Sign in</button>",
    );
    let sign_up = "<p>No account yet?</p>\n".to_owned() + &link("/signup", context, "Sign up");
    page("Sign in", &(context.notice.html() + &form + &sign_up))
}

/// `/signup`.
pub(super) fn sign_up(context: FormContext<'_>) -> String {
    let hint = "<p>At least 12 characters, among them upper-case letters, lower-case letters and numbers.</p>\n";
    let fields = address_field(context) + &password_field("new-password", hint);
    let form = form(
        "/signup",
        context,
        &fields,
        "<button type=\"submit\">Sign up</button>",
    );
    let login = link("/login", context, "Sign in with an account you have");
    page("Sign up", &(context.notice.html() + &form + &login))
}

/// `/confirmUser`.
pub(super) fn confirm(context: FormContext<'_>) -> String {
    let address = escape(context.address);
    let hidden = format!("<input type=\"hidden\" name=\"username\" value=\"{address}\">\n");
    let fields = format!(
        "{hidden}<p>We sent a code to {address}.</p>\n<label for=\"code\">Confirmation code</label>\n\
         <input id=\"code\" name=\"code\" inputmode=\"numeric\" autocomplete=\"one-time-code\" required>\n"
    );
    let confirm = form(
        "/confirmUser",
        context,
        &fields,
        "<button type=\"submit\">Confirm account</button>",
    );
    let resend = form(
        "/resendcode",
        context,
        &hidden,
        "<p>Didn't get it? <button class=\"link\" type=\"submit\">Send a new code</button></p>",
    );
    page(
        "Confirm your account",
        &(context.notice.html() + &confirm + &resend),
    )
}

/// A page that only says why nothing can be done.
pub(super) fn failure(text: &str) -> String {
    page("This does not work", &Notice::Error(text).html())
}

/// `/inbox`, for people: subject, from, to, time and text of each message, newest first.
pub(super) fn inbox(messages: &[serde_json::Value]) -> String {
    let mut main = String::new();
    for message in messages.iter().rev() {
        let text = |name: &str| escape(message[name].as_str().unwrap_or_default());
        // Writing to a string does not fail.
        let _written = write!(
            main,
            "<article>\n<h2>{}</h2>\n<p>{} {} · {}</p>\n<pre>{}</pre>\n</article>\n",
            text("subject"),
            text("from"),
            text("to"),
            text("time"),
            text("text")
        );
    }
    if main.is_empty() {
        main.push_str("<p>No messages yet.</p>\n");
    }
    page("Inbox", &main)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_stays_text() {
        let evil = "\"><script>alert('&')</script>";
        let context = FormContext {
            query: evil,
            token: evil,
            notice: Notice::Error(evil),
            address: evil,
        };
        let message =
            serde_json::json!({ "subject": evil, "from": evil, "to": evil, "text": evil });
        for page in [
            login(context),
            sign_up(context),
            confirm(context),
            failure(evil),
            inbox(&[message]),
        ] {
            assert!(!page.contains("<script"), "{page}");
            assert!(page.contains("&quot;&gt;&lt;script&gt;"), "{page}");
            for inline in [" style=", "<style", " on"] {
                let attribute = format!("<input{inline}");
                assert!(!page.contains(&attribute), "{page}");
            }
        }
    }
}
