//! Self-contained HTML pages, plots and videos.
//!
//! A [`Page`] is a list of sections; each method adds one. All text is escaped, and images and scripts are part of the
//! page. A [`Video`] takes frames and writes a video: an MP4 through ffmpeg, or an animated image without it.
//!
//! ```
//! let mut page = report::Page::new("Faces");
//! page.heading("Counts").table(&["reason", "count"], &[vec!["blur".into(), "3".into()]], true);
//! assert!(page.finish().contains("<h2>Counts</h2>"));
//! ```

mod escape;
mod histogram;
mod page;
mod plot;
mod raster;
mod video;

pub use escape::escape;
pub use histogram::Histogram;
pub use page::{Page, Strip, Tile};
pub use plot::{PALETTE, Plot, Series, YAxis, short};
pub use raster::caption;
pub use video::{Video, VideoError, VideoFormat, VideoOptions, find_ffmpeg};
