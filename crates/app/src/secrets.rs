//! Passwords and tokens of people and programs.

use crate::AppError;
use argon2::{
    Argon2,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use provisioning::OwnershipCredentials;
use sha2::{Digest, Sha256};
use types::{CpeId, Secret};

/// Characters of a generated password: 20 × 5 bits.
pub(crate) const GENERATED_LENGTH: usize = 20;

/// Shortest password a person may choose.
pub(crate) const SHORTEST_PASSWORD: usize = 12;

fn no_randomness(error: impl std::fmt::Display) -> AppError {
    AppError::Internal(format!("the operating system gave no random numbers ({error})"))
}

/// A fresh secret.
pub(crate) fn random_secret(length: usize) -> Result<Secret, AppError> {
    Secret::random(length).map_err(no_randomness)
}

/// Our own management credentials for a device.
pub(crate) fn ownership_credentials(cpe: CpeId) -> Result<OwnershipCredentials, AppError> {
    Ok(OwnershipCredentials {
        // The row's number makes it unique for ever; the random part keeps it from being enumerated.
        username: format!("lk{cpe}-{}", random_secret(6)?.expose()),
        password: random_secret(24)?,
        connection_request_username: "lightkeeper".to_owned(),
        connection_request_password: random_secret(24)?,
    })
}

/// Argon2id with a random salt, as a PHC string. Takes tens of milliseconds of one core by design.
pub(crate) fn hash_password(password: &Secret) -> Result<String, AppError> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).map_err(no_randomness)?;
    let salt =
        SaltString::encode_b64(&salt).map_err(|e| AppError::Internal(format!("password salt: {e}")))?;
    Argon2::default()
        .hash_password(password.expose().as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|e| AppError::Internal(format!("password hash: {e}")))
}

/// True if the password belongs to the hash. A damaged hash is false, never an error a stranger could tell apart.
pub(crate) fn verify_password(password: &Secret, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|parsed| Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok())
}

/// A bearer token and the hash of it that is stored: 256 random bits, so a plain SHA-256 is enough.
pub(crate) fn new_token(prefix: &str) -> Result<(Secret, String), AppError> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    let token = Secret::new(format!("{prefix}{}", hex::encode(bytes)));
    let hash = token_hash(&token);
    Ok((token, hash))
}

/// The stored form of a token.
pub(crate) fn token_hash(token: &Secret) -> String {
    hex::encode(Sha256::digest(token.expose().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let hash = hash_password(&Secret::new("correct horse")).expect("hash");
        assert!(verify_password(&Secret::new("correct horse"), &hash));
        assert!(!verify_password(&Secret::new("correct horsf"), &hash));
        assert!(!verify_password(&Secret::new("correct horse"), "no hash"));
        assert_ne!(hash, hash_password(&Secret::new("correct horse")).expect("hash"), "salted");
    }

    #[test]
    fn tokens_are_stored_as_hashes() {
        let (token, hash) = new_token("lk_").expect("token");
        assert!(token.expose().starts_with("lk_") && !hash.contains(token.expose()));
        assert_eq!(token_hash(&token), hash);
    }
}
