//! Chooses the samples of the preview grids (`reals.png`, `fakes000200.png`).

use std::cmp::Ordering;

use rng::RandomState;

use crate::image_dataset::ImageDataset;
use crate::label::Label;

/// A grid of about 7680 x 4320 pixels: 7 to 32 columns, 4 to 32 rows.
///
/// Without labels it shows the dataset in random order, repeated when it is small. With labels each row shows samples
/// of one label, and the rows show the labels in turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotGrid {
    /// Number of images in a row.
    pub columns: usize,
    /// Number of rows.
    pub rows: usize,
    /// Index in the [`ImageDataset`] of each image, row by row.
    pub indices: Vec<usize>,
}

impl SnapshotGrid {
    /// The grid that NVIDIA's StyleGAN2-ADA shows for this dataset.
    pub fn new(dataset: &ImageDataset) -> Self {
        let [_, height, width] = dataset.shape();
        let columns = (7680 / width.max(1)).clamp(7, 32);
        let rows = (4320 / height.max(1)).clamp(4, 32);
        Self::sized(dataset, columns, rows)
    }

    /// A grid of `columns` x `rows` images, with samples chosen as in [`new`](Self::new).
    pub fn sized(dataset: &ImageDataset, columns: usize, rows: usize) -> Self {
        let mut random = RandomState::new(0);
        let indices = if dataset.label_dim() == 0 {
            let order = random.permutation(dataset.len());
            order.into_iter().cycle().take(columns * rows).collect()
        } else {
            let groups = shuffled_groups(dataset, &mut random);
            (0..rows)
                .flat_map(|row| {
                    let group = &groups[row % groups.len()];
                    // Further rows of the same label continue with the samples after its last row.
                    let start = row / groups.len() * columns;
                    (start..start + columns).map(|i| group[i % group.len()])
                })
                .collect()
        };
        Self {
            columns,
            rows,
            indices,
        }
    }
}

/// Samples grouped by label, with labels in ascending order (vectors are compared from their last entry to their
/// first); the groups are shuffled one after the other in this order.
fn shuffled_groups(dataset: &ImageDataset, random: &mut RandomState) -> Vec<Vec<usize>> {
    let mut labeled: Vec<(&Label, usize)> = (0..dataset.len())
        .filter_map(|idx| Some((dataset.raw_label(idx)?, idx)))
        .collect();
    labeled.sort_by(|a, b| compare(a.0, b.0));
    labeled
        .chunk_by(|a, b| compare(a.0, b.0).is_eq())
        .map(|group| {
            let mut group: Vec<usize> = group.iter().map(|(_, idx)| *idx).collect();
            random.shuffle(&mut group);
            group
        })
        .collect()
}

fn compare(a: &Label, b: &Label) -> Ordering {
    match (a, b) {
        (Label::Class(a), Label::Class(b)) => a.cmp(b),
        (Label::Vector(a), Label::Vector(b)) => {
            let pairs = a.iter().rev().zip(b.iter().rev());
            pairs
                .map(|(a, b)| (a + 0.0).total_cmp(&(b + 0.0)))
                .find(|o| o.is_ne())
                .unwrap_or(Ordering::Equal)
        }
        // Cannot happen: all labels of a dataset have the same form.
        (Label::Class(_), Label::Vector(_)) => Ordering::Less,
        (Label::Vector(_), Label::Class(_)) => Ordering::Greater,
    }
}
