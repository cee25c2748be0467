//! Reads zips and tars in place, from many threads, and decodes file names of any encoding to text.
//!
//! - [`ZipFile`] and [`TarFile`]: every file in an archive is a member, even when several have the same name. Names are
//!   raw bytes. Reading a damaged member returns an [`ArchiveError`]; the other members can still be read.
//! - [`names`]: the rules by which raw names become text, the same for folders, lists and archives.
//! - [`ArchiveKind`] recognizes archives by content, [`describe`] says what other files are (a web page, cut short,
//!   empty).
//! - [`is_system_file`]: recognizes files that operating systems put beside images (`._a.png`, `Thumbs.db`).
//!
//! Nothing is unpacked to disk. The crate `decode` handles image formats.
//!
//! ```no_run
//! use archive::{ArchiveError, ZipFile};
//!
//! # fn main() -> Result<(), ArchiveError> {
//! let zip = ZipFile::open("faces.zip".as_ref())?;
//! for (index, member) in zip.members().iter().enumerate().filter(|(_, member)| !member.is_folder()) {
//!     let name = archive::names::decode_path(&member.name.raw, member.name.page);
//!     println!("{name}: {} bytes", zip.read(index)?.len());
//! }
//! # Ok(())
//! # }
//! ```

mod error;
mod kind;
pub mod names;
mod shared_file;
mod system_files;
mod tar_file;
mod tar_metered;
mod tar_sparse;
mod zip_directory;
mod zip_file;

pub use error::ArchiveError;
pub use kind::{ArchiveKind, describe, describe_file};
pub use shared_file::SharedFile;
pub use system_files::{is_system_file, may_be_system_file};
pub use tar_file::{TarFile, TarMember};
pub use zip_directory::{ZipMember, ZipName};
pub use zip_file::ZipFile;
