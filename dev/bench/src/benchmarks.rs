//! Writes sections of BENCHMARKS.md.

use anyhow::{Context, Result};

/// Replaces the text of section `name`, between its marks in `file`, or appends the section if it has none.
pub fn write(file: &str, name: &str, text: &str) -> Result<()> {
    let (open, close) = (
        format!("<!-- bench:{name} -->\n"),
        format!("<!-- /bench:{name} -->\n"),
    );
    let old = std::fs::read_to_string(file).unwrap_or_default();
    let new = match (old.find(&open), old.find(&close)) {
        (Some(start), Some(end)) if start < end => {
            format!("{}{open}{text}{}", &old[..start], &old[end..])
        }
        _ => format!("{old}\n## {name}\n\n{open}{text}{close}"),
    };
    files::write_bytes(std::path::Path::new(file), new.as_bytes())
        .with_context(|| format!("cannot write '{file}'"))
}
