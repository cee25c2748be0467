//! Curates a dump of illustrations into a dataset of faces, with a record of every decision.
//!
//! [`run`] walks the inputs, measures every image once (decode, hash, filters, faces, crops; kept in a journal),
//! decides from the measurements alone, and writes the dataset zip, the manifest and the report. No broken image stops
//! a run, and no input is modified. The same inputs and settings give the same bytes, whatever the number of threads
//! and however often the run was killed on the way.
//!
//! ```no_run
//! use curation::{CurationConfig, CurationError, RunOptions, run};
//!
//! # fn main() -> Result<(), CurationError> {
//! let config = CurationConfig::default();
//! let inputs = ["danbooru".into()];
//! let summary = run(&inputs, "faces.zip".as_ref(), &config, RunOptions::default(), &|_| ())?;
//! println!("{} faces, {} kept", summary.n_faces, summary.n_kept);
//! # Ok(())
//! # }
//! ```

pub mod child_process;
pub mod config;
mod decide;
mod error;
mod events;
mod exclude;
mod finish;
mod in_progress;
pub mod inputs;
mod journal;
pub mod manifest;
pub mod measure;
mod measuring_pass;
mod memory;
pub mod metadata;
mod output_paths;
mod pack;
mod page;
mod pipeline;
mod read_errors;
pub mod record;
mod samples;
mod summary;

pub use config::CurationConfig;
pub use error::CurationError;
pub use events::{Event, Stage};
pub use memory::Memory;
pub use pipeline::{RunOptions, run};
pub use read_errors::ReadErrors;
pub use summary::{SmallFaces, Summary};
