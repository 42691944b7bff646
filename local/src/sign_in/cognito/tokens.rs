//! JSON Web Tokens, signed with [ES256](https://www.rfc-editor.org/rfc/rfc7518#section-3.4).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenError {
    /// It is no token, or none that was signed here.
    Malformed,
    Signature,
    /// It ended at this second since 1970.
    Expired(u64),
}

/// The key pair of one user pool, which lives as long as the process.
pub(super) struct SigningKey {
    pair: EcdsaKeyPair,
    id: String,
}

impl SigningKey {
    /// Makes a key pair; the error is ring's, of which nothing can be told.
    pub(super) fn generate() -> Result<Self, ring::error::Unspecified> {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| ring::error::Unspecified)?;
        let id = BASE64.encode(digest::digest(&digest::SHA256, pair.public_key().as_ref()));
        Ok(Self { pair, id })
    }

    /// The public key, as a [set](https://www.rfc-editor.org/rfc/rfc7517#section-5).
    pub(super) fn key_set(&self) -> Value {
        // An uncompressed point: a byte that says so, and two coordinates of equal length.
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }] })
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String, ring::error::Unspecified> {
        let header = json!({ "kid": self.id, "alg": "ES256" });
        let [header, claims] = [&header, claims].map(|part| BASE64.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes())?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that was signed here and has not expired.
    pub(super) fn verify(&self, token: &str, now: Duration) -> Result<Value, TokenError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| TokenError::Malformed);
        let json = |part: &str| -> Result<Value, TokenError> {
            serde_json::from_slice(&decode(part)?).map_err(|_| TokenError::Malformed)
        };
        let (header, claims) = (json(header)?, json(claims)?);
        // What the token says of its algorithm chooses nothing.
        if header["alg"] != "ES256" || header["kid"] != self.id.as_str() {
            return Err(TokenError::Signature);
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key());
        key.verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| TokenError::Signature)?;
        let expires = claims["exp"].as_u64().unwrap_or_default();
        if expires <= now.as_secs() {
            return Err(TokenError::Expired(expires));
        }
        Ok(claims)
    }
}

/// The [`at_hash`](https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken) of an access token.
pub(super) fn half_hash(token: &str) -> String {
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    BASE64.encode(&hash.as_ref()[..16])
}

/// The [challenge](https://www.rfc-editor.org/rfc/rfc7636#section-4.2) of a verifier.
pub(super) fn challenge(verifier: &str) -> String {
    BASE64.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_specification() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(
            challenge(verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn a_token_is_taken_as_it_was_signed_until_it_expires() {
        let key = SigningKey::generate().unwrap();
        let claims = json!({ "sub": "me", "exp": 1000 });
        let token = key.sign(&claims).unwrap();
        let at = Duration::from_secs;
        assert_eq!(key.verify(&token, at(999)), Ok(claims.clone()));
        assert_eq!(key.verify(&token, at(1000)), Err(TokenError::Expired(1000)));

        let parts: Vec<&str> = token.split('.').collect();
        let encode = |value: Value| BASE64.encode(value.to_string());
        let other = encode(json!({ "sub": "you", "exp": 1000 }));
        let none = encode(json!({ "alg": "none", "kid": key.id }));
        let foreign = SigningKey::generate().unwrap().sign(&claims).unwrap();
        for (tampered, reason) in [
            (
                format!("{}.{other}.{}", parts[0], parts[2]),
                TokenError::Signature,
            ),
            (format!("{none}.{}.", parts[1]), TokenError::Signature),
            (format!("{}.{}.", parts[0], parts[1]), TokenError::Signature),
            (foreign, TokenError::Signature),
            (parts[1].to_owned(), TokenError::Malformed),
            (format!("{}.{}", parts[1], parts[2]), TokenError::Malformed),
            (String::new(), TokenError::Malformed),
        ] {
            assert_eq!(key.verify(&tampered, at(999)), Err(reason), "{tampered}");
        }
    }
}
