//! Opens the dataset of a run.

use std::path::{Path, PathBuf};

use anyhow::Context;
use dataset::{DatasetOptions, ImageDataset};
use run_folder::RunRecord;

/// Opens the dataset with the run's subset, labels and mirroring; `data` is its path if it has moved.
pub fn dataset_of(run: &RunRecord, data: Option<&Path>) -> anyhow::Result<ImageDataset> {
    let set = run.option(&["training_set_kwargs"]);
    let path = match (data, set["path"].as_str()) {
        (Some(path), _) => path.to_path_buf(),
        (None, Some(path)) => PathBuf::from(path),
        (None, None) => anyhow::bail!(
            "'{}' does not say which dataset it was trained on: give it with --data ZIP",
            run.path.display()
        ),
    };
    let options = DatasetOptions {
        use_labels: set["use_labels"].as_bool().unwrap_or(false),
        max_size: set["max_size"].as_u64().map(|n| n as usize),
        random_seed: set["random_seed"].as_u64().unwrap_or(0) as u32,
        xflip: set["xflip"].as_bool().unwrap_or(false),
    };
    ImageDataset::open(&path, &options).with_context(|| {
        format!(
            "the dataset '{}' of the run; when it has moved, say where it is with --data FILE",
            path.display()
        )
    })
}
