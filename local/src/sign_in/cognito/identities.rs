use std::collections::HashMap;
use std::sync::Mutex;

use uuid::Uuid;

use crate::deployment::REGION;
use crate::lock::lock;

/// The identities that were given out, by the user's `sub`.
#[derive(Debug, Default)]
pub(super) struct Identities(Mutex<HashMap<String, String>>);

impl Identities {
    pub(super) fn of(&self, sub: &str) -> String {
        let mut identities = lock(&self.0);
        let new = || format!("{REGION}:{}", Uuid::new_v4());
        identities.entry(sub.to_owned()).or_insert_with(new).clone()
    }

    pub(super) fn contains(&self, identity: &str) -> bool {
        lock(&self.0).values().any(|own| own == identity)
    }
}
