//! Every program explains itself, and refuses what it does not know.

use std::path::Path;

use e2e::{PROGRAMS, call, finished, stdout};

#[test]
fn help_and_version_work_everywhere() {
    for name in PROGRAMS {
        let help = stdout(&finished(call(Path::new("."), name, "--help")));
        assert!(help.contains("Usage:"), "{name}: {help}");
        let version = stdout(&finished(call(Path::new("."), name, "--version")));
        assert!(version.starts_with(name), "{version}");
    }
}

#[test]
fn unknown_flags_are_usage_errors() {
    for name in PROGRAMS {
        let output = call(Path::new("."), name, "--no-such-flag")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(output.stdout.is_empty(), "{name}");
    }
}
