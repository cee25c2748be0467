//! `--version` with build facts.

use std::sync::OnceLock;

/// The version with build facts:
/// `0.1.0 (commit 1a2b3c4d5e6f, profile release, features none, target x86_64-unknown-linux-gnu)`.
///
/// For clap's `#[command(version = cli::version())]`. All packages of the workspace share one version.
pub fn version() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let facts: Vec<String> = build_facts()
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        format!("{} ({})", env!("CARGO_PKG_VERSION"), facts.join(", "))
    })
}

/// The facts of this build, as (name, value): commit (absent outside a checkout), profile, features, target.
///
/// The features are those of this crate, to which tools forward theirs.
pub fn build_facts() -> Vec<(&'static str, &'static str)> {
    let features = env!("BUILD_FEATURES");
    [
        ("commit", env!("BUILD_COMMIT")),
        ("profile", env!("BUILD_PROFILE")),
        (
            "features",
            if features.is_empty() {
                "none"
            } else {
                features
            },
        ),
        ("target", env!("BUILD_TARGET")),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_the_build() {
        let text = super::version();
        assert!(text.starts_with(env!("CARGO_PKG_VERSION")), "{text}");
        for fact in ["profile ", "features ", "target "] {
            assert!(text.contains(fact), "{text} lacks {fact}");
        }
    }
}
