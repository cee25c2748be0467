//! The code that all command-line tools share: arguments, logging, progress, results, errors, exit codes.
//!
//! A tool flattens [`Common`] into its arguments, calls [`Common::start`] once, and wraps its work in [`run_main`]:
//!
//! ```no_run
//! #[derive(clap::Parser)]
//! #[command(version = cli::version())]
//! struct Args {
//!     #[command(flatten)]
//!     common: cli::Common,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     cli::run_main(|| {
//!         let args: Args = cli::parse()?;
//!         args.common.start()?;
//!         let bar = cli::Progress::new("packing", Some(2), "images");
//!         bar.inc(2);
//!         bar.finish();
//!         cli::outln!("2 images");
//!         Ok(())
//!     })
//! }
//! ```
//!
//! Data goes to stdout through [`outln!`] and [`report`], everything else to stderr through `tracing` and [`Progress`].
//! Log lines and progress bars share one writer, so that a log line is never printed into a bar. This crate has no code
//! about images or training.

mod allocator;
mod common;
mod console;
mod crash;
mod encoding;
mod interrupt;
mod logging;
mod memory;
mod output;
mod overwrite;
mod pages;
mod progress;
mod rate;
mod run;
mod terminal;
mod threads;
mod version;

pub use allocator::{give_back_large_blocks, tune_allocator};
pub use common::Common;
pub use crash::crash_of;
pub use encoding::escaped;
pub use files::printable;
#[cfg(unix)]
pub use interrupt::is_ignored;
pub use interrupt::on_interrupt;
pub use memory::{available_memory_bytes, limit_memory, parse_bytes, peak_resident_bytes};
pub use output::{is_json, lossy, report, write_stdout};
pub use overwrite::Overwrite;
pub use pages::{PAGES_VARIABLE, parse};
pub use progress::Progress;
pub use run::{Leave, run_main};
pub use version::{build_facts, version};
