//! The profiles that come with the binary.

use std::sync::Arc;

use super::Profile;

const BUILTIN: [(&str, &str); 5] = [
    ("standard", include_str!("../../../../profiles/standard.toml")),
    ("runtight", include_str!("../../../../profiles/runtight.toml")),
    ("smartmaintenance", include_str!("../../../../profiles/smartmaintenance.toml")),
    ("org-jobs", include_str!("../../../../profiles/org-jobs.toml")),
    ("rcmanager", include_str!("../../../../profiles/rcmanager.toml")),
];

/// Name and source of each.
pub fn builtin() -> &'static [(&'static str, &'static str)] {
    &BUILTIN
}

/// All of them, compiled.
pub fn builtin_profiles() -> Vec<Arc<Profile>> {
    let mut profiles = Vec::with_capacity(BUILTIN.len());
    for (name, source) in BUILTIN {
        match Profile::parse(source) {
            Ok(profile) => profiles.push(Arc::new(profile)),
            // A test parses every one of them, so a binary with a broken profile is never built.
            Err(errors) => panic!("profile {name} does not parse: {errors:?}"),
        }
    }
    profiles
}
