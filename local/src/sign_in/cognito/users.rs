//! The people of a user pool, and their passwords.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::time::Duration;

use ring::pbkdf2;
use uuid::Uuid;

use crate::lock::lock;
use crate::sign_in::random;

/// As in the template's `PasswordPolicy`, in characters.
const PASSWORD_CHARS_MIN: usize = 12;
/// The longest that [Cognito](https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_SignUp.html)
/// takes, in characters.
const PASSWORD_CHARS_MAX: usize = 256;
/// The longest address of [mail](https://www.rfc-editor.org/errata/eid1690).
const ADDRESS_BYTES_MAX: usize = 254;
/// How long a [confirmation code](https://docs.aws.amazon.com/cognito/latest/developerguide/signing-up-users-in-your-app.html)
/// is valid.
const CODE_VALIDITY: Duration = Duration::from_hours(24);
/// Wrong codes after which a new one is needed.
const WRONG_CODES_MAX: u8 = 5;
/// Rounds of hashing. Passwords are in memory only and gone with the process; what is slow here is every test.
const HASH_ROUNDS: NonZeroU32 = NonZeroU32::new(10_000).unwrap();

/// A password that can be checked and not read.
#[derive(Clone, Copy)]
struct Password {
    salt: [u8; 16],
    hash: [u8; 32],
}

impl Password {
    /// Takes some milliseconds.
    fn new(text: &str) -> Self {
        let mut password = Self {
            salt: random::bytes(),
            hash: [0; 32],
        };
        let Self { salt, hash } = &mut password;
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            HASH_ROUNDS,
            salt,
            text.as_bytes(),
            hash,
        );
        password
    }

    /// One that no text is. Checking it takes as long as any other.
    fn unmatchable() -> Self {
        Self {
            salt: random::bytes(),
            hash: random::bytes(),
        }
    }

    fn matches(&self, text: &str) -> bool {
        let (algorithm, text) = (pbkdf2::PBKDF2_HMAC_SHA256, text.as_bytes());
        pbkdf2::verify(algorithm, HASH_ROUNDS, &self.salt, text, &self.hash).is_ok()
    }
}

/// Somebody of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// A UUID.
    pub(super) sub: String,
    /// Address of mail, in lower case: the template's pool is not case-sensitive.
    pub(super) address: String,
}

struct Account {
    user: User,
    password: Password,
    /// `None` once the address was confirmed.
    confirmation: Option<Confirmation>,
}

struct Confirmation {
    code: String,
    expires: Duration,
    wrong: u8,
}

impl Confirmation {
    fn new(now: Duration) -> Self {
        Self {
            code: random::characters("0123456789", 6),
            expires: now + CODE_VALIDITY,
            wrong: 0,
        }
    }
}

/// What cannot be done with an account, in Cognito's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Neither a user nor a password is said to be wrong, so that nobody learns who has an account.
    #[error("Incorrect username or password.")]
    NotAuthorized,
    /// The password is right, but the address was not confirmed yet.
    #[error("User is not confirmed.")]
    NotConfirmed,
    /// The address is none.
    #[error("Invalid email address format.")]
    Address,
    /// As the template's `PasswordPolicy`.
    #[error(
        "Password did not conform with policy: it must have at least 12 characters, among them upper-case letters, \
         lower-case letters and numbers"
    )]
    Password,
    /// Somebody signed up with this address.
    #[error("An account with the given email already exists.")]
    Exists,
    /// The confirmation code is another one.
    #[error("Invalid verification code provided, please try again.")]
    CodeMismatch,
    /// It was right, but is too old.
    #[error("Invalid code provided, please request a code again.")]
    CodeExpired,
    /// Too many codes were tried.
    #[error("Attempt limit exceeded, please request a new code.")]
    Attempts,
}

/// All accounts of a pool, by address.
#[derive(Default)]
pub(super) struct Users(Mutex<HashMap<String, Account>>);

impl Users {
    /// Adds somebody who has still to confirm, and gives the user and the confirmation code; takes some milliseconds.
    pub(super) fn sign_up(
        &self,
        address: &str,
        password: &str,
        now: Duration,
    ) -> Result<(User, String), AccountError> {
        let address = address_of(address)?;
        check_password(password)?;
        let password = Password::new(password);
        let mut accounts = lock(&self.0);
        if accounts.contains_key(&address) {
            return Err(AccountError::Exists);
        }
        let user = User {
            sub: Uuid::new_v4().to_string(),
            address: address.clone(),
        };
        let confirmation = Confirmation::new(now);
        let code = confirmation.code.clone();
        let account = Account {
            user: user.clone(),
            password,
            confirmation: Some(confirmation),
        };
        accounts.insert(address, account);
        Ok((user, code))
    }

    /// A new confirmation code for somebody who has still to confirm; of others nothing is told.
    pub(super) fn new_code(&self, address: &str, now: Duration) -> Option<(User, String)> {
        let mut accounts = lock(&self.0);
        let account = accounts.get_mut(&address_of(address).ok()?)?;
        account.confirmation.as_ref()?;
        let confirmation = Confirmation::new(now);
        let code = confirmation.code.clone();
        account.confirmation = Some(confirmation);
        Some((account.user.clone(), code))
    }

    /// Confirms the address by the code that was sent there.
    pub(super) fn confirm(
        &self,
        address: &str,
        code: &str,
        now: Duration,
    ) -> Result<User, AccountError> {
        let mut accounts = lock(&self.0);
        let account = address_of(address)
            .ok()
            .and_then(|address| accounts.get_mut(&address))
            .ok_or(AccountError::CodeMismatch)?;
        let confirmation = account
            .confirmation
            .as_mut()
            .ok_or(AccountError::CodeMismatch)?;
        if confirmation.wrong >= WRONG_CODES_MAX {
            return Err(AccountError::Attempts);
        }
        if confirmation.code != code.trim() {
            confirmation.wrong += 1;
            return Err(AccountError::CodeMismatch);
        }
        if confirmation.expires <= now {
            return Err(AccountError::CodeExpired);
        }
        account.confirmation = None;
        Ok(account.user.clone())
    }

    /// Confirms the address as an administrator would.
    pub(super) fn confirm_by_administrator(&self, user: &User) {
        if let Some(account) = lock(&self.0).get_mut(&user.address) {
            account.confirmation = None;
        }
    }

    /// Whose address and password these are; takes some milliseconds, whoever asks.
    pub(super) fn sign_in(&self, address: &str, password: &str) -> Result<User, AccountError> {
        let address = address_of(address).unwrap_or_default();
        let found = lock(&self.0)
            .get(&address)
            .map(|account| (account.user.clone(), account.password));
        let (user, own) = found.unzip();
        let is_right = own.unwrap_or_else(Password::unmatchable).matches(password);
        let user = user
            .filter(|_| is_right)
            .ok_or(AccountError::NotAuthorized)?;
        let accounts = lock(&self.0);
        match accounts.get(&address) {
            Some(account) if account.confirmation.is_some() => Err(AccountError::NotConfirmed),
            _ => Ok(user),
        }
    }

    /// Who has this `sub`.
    pub(super) fn by_sub(&self, sub: &str) -> Option<User> {
        let accounts = lock(&self.0);
        let account = accounts.values().find(|account| account.user.sub == sub);
        account.map(|account| account.user.clone())
    }
}

fn address_of(text: &str) -> Result<String, AccountError> {
    let text = text.trim();
    let is_address = text.len() <= ADDRESS_BYTES_MAX
        && text.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && host.contains('.') && !host.contains('@') && !host.ends_with('.')
        })
        && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_address {
        Ok(text.to_lowercase())
    } else {
        Err(AccountError::Address)
    }
}

fn check_password(text: &str) -> Result<(), AccountError> {
    let length = text.chars().count();
    let fits = (PASSWORD_CHARS_MIN..=PASSWORD_CHARS_MAX).contains(&length)
        && text.contains(|c: char| c.is_ascii_uppercase())
        && text.contains(|c: char| c.is_ascii_lowercase())
        && text.contains(|c: char| c.is_ascii_digit())
        && text.trim() == text;
    if fits {
        Ok(())
    } else {
        Err(AccountError::Password)
    }
}

/// A random password that the policy takes, without characters that look like others.
pub(super) fn random_password() -> String {
    const ALPHABETS: [&str; 3] = [
        "ABCDEFGHJKLMNPQRSTUVWXYZ",
        "abcdefghijkmnpqrstuvwxyz",
        "23456789",
    ];
    let all = ALPHABETS.concat();
    let some = ALPHABETS.map(|alphabet| random::characters(alphabet, 1));
    format!("{}{}", some.concat(), random::characters(&all, 13))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);
    const PASSWORD: &str = "Correct-horse-1";

    #[test]
    fn who_confirmed_signs_in_with_the_password_whatever_the_case_of_the_address() {
        let users = Users::default();
        let (user, code) = users.sign_up("Ada@Example.com", PASSWORD, NOW).unwrap();
        assert_eq!(user.address, "ada@example.com");
        let sign_in = |address, password| users.sign_in(address, password);
        assert_eq!(
            sign_in("ada@example.com", PASSWORD),
            Err(AccountError::NotConfirmed)
        );
        assert_eq!(
            users.confirm("ADA@example.com", &code, NOW),
            Ok(user.clone())
        );
        assert_eq!(
            users.confirm("ada@example.com", &code, NOW),
            Err(AccountError::CodeMismatch)
        );
        assert_eq!(sign_in("aDa@example.com ", PASSWORD), Ok(user.clone()));
        assert_eq!(users.by_sub(&user.sub), Some(user));
        for (address, password) in [
            ("ada@example.com", "Correct-horse-2"),
            ("ada@example.com", ""),
            ("nobody@example.com", PASSWORD),
            ("", PASSWORD),
        ] {
            assert_eq!(
                sign_in(address, password),
                Err(AccountError::NotAuthorized),
                "{address}"
            );
        }
    }

    #[test]
    fn a_wrong_password_of_who_has_not_confirmed_tells_nothing() {
        let users = Users::default();
        users.sign_up("ada@example.com", PASSWORD, NOW).unwrap();
        let refused = users.sign_in("ada@example.com", "Correct-horse-2");
        assert_eq!(refused, Err(AccountError::NotAuthorized));
    }

    #[test]
    fn a_code_is_tried_five_times_at_most_and_for_a_day() {
        let users = Users::default();
        let address = "ada@example.com";
        let (_, code) = users.sign_up(address, PASSWORD, NOW).unwrap();
        let wrong = if code == "000000" { "000001" } else { "000000" };
        for _ in 0..5 {
            assert_eq!(
                users.confirm(address, wrong, NOW),
                Err(AccountError::CodeMismatch)
            );
        }
        assert_eq!(
            users.confirm(address, &code, NOW),
            Err(AccountError::Attempts)
        );
        let (_, code) = users.new_code(address, NOW).unwrap();
        let late = users.confirm(address, &code, NOW + CODE_VALIDITY);
        assert_eq!(late, Err(AccountError::CodeExpired));
        let (_, code) = users.new_code(address, NOW).unwrap();
        assert!(users.confirm(address, &format!(" {code}"), NOW).is_ok());
        assert_eq!(users.new_code(address, NOW), None);
        assert_eq!(users.new_code("nobody@example.com", NOW), None);
    }

    #[test]
    fn what_no_pool_of_the_template_takes_is_refused() {
        let users = Users::default();
        users.sign_up("ada@example.com", PASSWORD, NOW).unwrap();
        for (address, password, reason) in [
            ("ADA@example.com", PASSWORD, AccountError::Exists),
            ("ada", PASSWORD, AccountError::Address),
            ("ada@example", PASSWORD, AccountError::Address),
            ("@example.com", PASSWORD, AccountError::Address),
            ("a b@example.com", PASSWORD, AccountError::Address),
            ("a@b@example.com", PASSWORD, AccountError::Address),
            ("b@example.com", "Short-1", AccountError::Password),
            ("b@example.com", "correct-horse-1", AccountError::Password),
            ("b@example.com", "CORRECT-HORSE-1", AccountError::Password),
            ("b@example.com", "Correct-horse-x", AccountError::Password),
        ] {
            let refused = users.sign_up(address, password, NOW).map(|_| ());
            assert_eq!(refused, Err(reason), "{address} {password}");
        }
        for _ in 0..100 {
            assert_eq!(check_password(&random_password()), Ok(()));
        }
    }
}
