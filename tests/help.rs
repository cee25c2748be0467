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

/// The help of a program and of all its commands, as one page.
fn page(name: &str) -> String {
    let help = |arguments: &str| {
        let mut call = call(Path::new("."), name, arguments);
        call.env("COLUMNS", "100");
        let text = stdout(&finished(call));
        let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    let whole = help("--help");
    let mut page = format!("# {name}\n\n```text\n{whole}\n```\n");
    let listed = whole
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        // Continuations of a description are indented further.
        let command = line
            .strip_prefix("  ")
            .filter(|line| !line.starts_with(' '));
        let Some(command) = command.and_then(|line| line.split(' ').next()) else {
            continue;
        };
        if command != "help" {
            let text = help(&format!("{command} --help"));
            page += &format!("\n## {name} {command}\n\n```text\n{text}\n```\n");
        }
    }
    page
}

/// `docs/cli` is what the programs say. `UPDATE_DOCS=1 cargo test -p e2e --test help` writes it anew.
#[test]
fn the_pages_of_the_command_line_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli");
    for name in PROGRAMS {
        let path = folder.join(format!("{name}.md"));
        let page = page(name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written.replace("\r\n", "\n") == page,
            "docs/cli/{name}.md is not what `{name} --help` says; \
             UPDATE_DOCS=1 cargo test -p e2e --test help writes it anew"
        );
    }
}

#[test]
fn a_build_for_cuda_names_the_feature_in_its_version() {
    // `--version` names the features of the crate `cli`: each program with the feature must forward it.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut n_programs = 0;
    for tool in std::fs::read_dir(root.join("tools")).unwrap() {
        let manifest = tool.unwrap().path().join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        for line in text.lines().filter(|line| line.starts_with("cuda = ")) {
            assert!(line.contains("\"cli/cuda\""), "{}", manifest.display());
            n_programs += 1;
        }
    }
    assert_eq!(n_programs, 3);
}
