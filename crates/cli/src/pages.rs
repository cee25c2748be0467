//! Parses arguments, and writes completions for shells and man pages.

use std::path::Path;

use anyhow::Context;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

/// Environment variable with a folder. When it is set, a tool writes its completions and man pages to this folder and
/// does nothing else.
pub const PAGES_VARIABLE: &str = "KAOGAN_PAGES";

/// Parses the arguments of the program.
///
/// Exits the program when the arguments are wrong (exit code 2), when they ask for help or the version, and when
/// [`PAGES_VARIABLE`] asks for completions and man pages.
///
/// # Errors
/// When the pages cannot be written.
pub fn parse<A: Parser + CommandFactory>() -> anyhow::Result<A> {
    if let Some(folder) = std::env::var_os(PAGES_VARIABLE) {
        write_pages(A::command(), Path::new(&folder))?;
        std::process::exit(0);
    }
    let args: Vec<_> = std::env::args_os().collect();
    Ok(A::try_parse_from(&args)
        .unwrap_or_else(|error| crate::encoding::named(error, &mut A::command(), &args).exit()))
}

/// Writes completions to the subfolder `completions` and man pages to the subfolder `man`.
fn write_pages(mut command: clap::Command, folder: &Path) -> anyhow::Result<()> {
    let [completions, man] = ["completions", "man"].map(|name| folder.join(name));
    for folder in [&completions, &man] {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make '{}'", folder.display()))?;
    }
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
        clap_complete::generate_to(shell, &mut command, &name, &completions)
            .with_context(|| format!("cannot write to '{}'", completions.display()))?;
    }
    clap_mangen::generate_to(command, &man)
        .with_context(|| format!("cannot write to '{}'", man.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_and_every_command_gets_a_page() {
        let folder = std::env::temp_dir().join(format!("kaogan-pages-{}", std::process::id()));
        let command = clap::Command::new("tool")
            .subcommand(clap::Command::new("run").arg(clap::Arg::new("speed").long("speed")));
        write_pages(command, &folder).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(read("man/tool.1").contains("tool"));
        for page in [
            "man/tool-run.1",
            "completions/tool.bash",
            "completions/_tool",
            "completions/tool.fish",
            "completions/_tool.ps1",
        ] {
            assert!(read(page).contains("speed"), "{page}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
