//! The flags that every tool has.

use std::num::NonZeroUsize;

/// Flags that every tool has. Flatten it, then call [`Common::start`] once.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Output and machine")]
pub struct Common {
    /// Show warnings and errors only, and no progress
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Show more: once for debug messages, twice for everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// Print results as JSON, one object a line
    #[arg(long, global = true)]
    pub json: bool,

    /// Worker threads [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
}

impl Common {
    /// Starts logging, progress and the thread pool as the flags say.
    ///
    /// The environment variable `RUST_LOG` overrides the log level.
    ///
    /// # Errors
    /// When the thread pool cannot be started, or is running already.
    pub fn start(&self) -> anyhow::Result<()> {
        let first = crate::console::start(self.quiet, self.json);
        if first {
            crate::logging::start(self.quiet, self.verbose);
        }
        crate::threads::start_pool(self.threads)
    }

    /// The number of threads that work will use.
    pub fn n_threads(&self) -> usize {
        self.threads
            .map_or_else(rayon::current_num_threads, NonZeroUsize::get)
    }
}

/// Parses a number of threads, at most 1024: more threads than any machine has cores would only cost memory.
fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 1024;
    let threads = text.parse().ok().filter(|n: &NonZeroUsize| n.get() <= MOST);
    threads.ok_or_else(|| format!("a number from 1 to {MOST} is wanted"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Args {
        #[command(flatten)]
        common: Common,
    }

    fn parse(line: &str) -> Result<Common, clap::Error> {
        Args::try_parse_from(line.split(' ')).map(|args| args.common)
    }

    #[test]
    fn flags_are_read() {
        let common = parse("tool -vv --json --threads 3").unwrap();
        assert_eq!(
            (common.verbose, common.json, common.n_threads()),
            (2, true, 3)
        );
    }

    #[test]
    fn contradictions_and_zero_threads_are_usage_errors() {
        for line in [
            "tool -q -v",
            "tool --threads 0",
            "tool --threads many",
            "tool --threads 100000",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
