//! The latest and the best value of each metric result, kept in the [`Progress`] of a run.

use run_folder::{is_better, snapshot_kimg};
use serde_json::{Map, Value};

use crate::training_state::Progress;

/// Records the metric results of the snapshot file `snapshot` in `progress`: each result becomes the latest value under
/// its name, and also the best value if it is better than the best one so far. A result from a snapshot before
/// `warm_up_kimg` thousand training images never becomes the best value. Results that are not finite numbers are
/// skipped.
pub(crate) fn update(
    progress: &mut Progress,
    snapshot: &str,
    results: &Map<String, Value>,
    warm_up_kimg: f64,
) {
    let is_warm = snapshot_kimg(snapshot).is_none_or(|kimg| kimg as f64 >= warm_up_kimg);
    for (name, value) in results {
        let Some(value) = value.as_f64().filter(|v| v.is_finite()) else {
            continue;
        };
        progress.metrics.insert(format!("Metrics/{name}"), value);
        let best = progress.best.get(name);
        // A standard deviation has no best value.
        if is_warm
            && !name.ends_with("_std")
            && best.is_none_or(|(best, _)| is_better(name, value, *best))
        {
            let entry = (value, snapshot.to_owned());
            progress.best.insert(name.clone(), entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_result_lies_beyond_the_warm_up() {
        let mut progress = Progress::default();
        for (kimg, fid) in [(1, 2.0), (12, 5.0), (14, 4.0), (16, 4.5)] {
            let results = Map::from_iter([("fid5k_full".to_owned(), fid.into())]);
            let snapshot = format!("network-snapshot-{kimg:06}.safetensors");
            update(&mut progress, &snapshot, &results, 10.0);
        }
        let (value, snapshot) = &progress.best["fid5k_full"];
        assert_eq!(
            (*value, &snapshot[..]),
            (4.0, "network-snapshot-000014.safetensors")
        );
        assert_eq!(progress.metrics["Metrics/fid5k_full"], 4.5);
    }
}
